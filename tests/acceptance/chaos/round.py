"""One round: the portal up, work submitted, faults put on, everything healed, and then the judgement."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from django.db import OperationalError

from tests.acceptance.chaos import records
from tests.acceptance.chaos.client import Client
from tests.acceptance.chaos.faults import Fault, Injector, plan_faults
from tests.acceptance.chaos.oracle import Effect, judge, read_effects
from tests.acceptance.chaos.portal import Portal, PortalError
from tests.acceptance.chaos.report import Figures, as_json, as_text
from tests.acceptance.chaos.workload import EFFECTS, STEP_TIMEOUT, Submission, invent
from tests.hosts.client import Hosts

LIVE_RUNS = 5
SETTLE_SECONDS = 90.0 + STEP_TIMEOUT
PREPARE = f"mkdir -p {Path(EFFECTS).parent}; : > {EFFECTS}; chmod 666 {EFFECTS}"


@dataclass(slots=True)
class Round:
    """`portal` runs on the database that Django is set up for; `hosts` are as new."""

    portal: Portal
    hosts: Hosts
    seed: int
    count: int
    started: float = field(default_factory=time.monotonic)
    submissions: list[Submission] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    _in_flight: int = 0
    _freed_at: float = 0.0

    def play(self) -> bool:
        """The whole round; True when nothing is wrong. Prints a table and writes `round.json`."""
        for name in self.hosts.names:
            self.hosts.raw(name, "sh", "-c", PREPARE)
        client = Client(self.portal.port, records.enlist(self.hosts))
        faults = plan_faults(Random(self.seed), self.count, self.hosts.names)
        injector = Injector(
            self.portal, self.hosts, self.say, lambda: self._in_flight > 0, records.is_sending
        )
        thread = threading.Thread(target=injector.inject, args=(faults,), daemon=True)
        thread.start()
        random = Random(self.seed + 1)
        self._work(client, lambda: invent(random, len(self.submissions) + 1), thread.is_alive)
        healed = time.monotonic()
        self.say("all healed")
        settled = self._settle(client, healed)
        return self._judge(faults, injector.broke, settled)

    def say(self, text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - self.started:6.1f} {text}\n")
        sys.stderr.flush()

    def _work(
        self, client: Client, invent_one: Callable[[], Submission], goes_on: Callable[[], bool]
    ) -> None:
        """Keep some runs alive for as long as faults come."""
        while goes_on():
            self._look()
            waiting = next((wanted for wanted in self.submissions if wanted.run is None), None)
            if waiting is None and records.live_runs() < LIVE_RUNS:
                waiting = invent_one()
                self.submissions.append(waiting)
            if waiting is not None:
                client.submit(waiting)
            self._cancel_some(client)
            time.sleep(0.2)

    def _settle(self, client: Client, healed: float) -> float | None:
        while time.monotonic() - healed < SETTLE_SECONDS:
            for wanted in self.submissions:
                if wanted.run is None:
                    client.submit(wanted)
            self._look()
            if not records.live_runs() and all(wanted.run is not None for wanted in self.submissions):
                return time.monotonic() - healed
            time.sleep(0.3)
        return None

    def _look(self) -> None:
        try:
            self._in_flight = records.open_attempts()
            if time.monotonic() - self._freed_at > 3:
                self._freed_at = time.monotonic()
                self.complaints += records.free_locks()
        except OperationalError as error:
            self.say(f"looking: {error}")  # a stopped process may hold the database

    def _cancel_some(self, client: Client) -> None:
        for wanted in self.submissions:
            if wanted.run is None or wanted.cancel_at is None or wanted.cancelled:
                continue
            wanted.cancel_at -= 0.2
            if wanted.cancel_at <= 0:
                wanted.cancelled = client.cancel(wanted.run)

    def _judge(self, faults: list[Fault], broke: list[str], settled: float | None) -> bool:
        effects = self._effects()
        verdict = judge(self.submissions, effects, faults)
        verdict.other += self.complaints + broke
        verdict.other += [f"fault {fault.number} was never put on" for fault in faults if not fault.at]
        if settled is None:
            verdict.stuck.append(f"not everything was over {SETTLE_SECONDS:g} s after the last healing")
        ended = 0.0
        try:
            ended = self.portal.end()
        except PortalError as error:
            verdict.other.append(str(error))
        if left := self.portal.left_behind():
            verdict.other.append(f"processes are left: {left}")
        seconds = time.monotonic() - self.started
        figures = Figures(self.seed, seconds, settled, ended, len(effects), len(self.submissions))
        data: dict[str, Any] = as_json(figures, faults, verdict)
        (self.portal.data / "round.json").write_text(json.dumps(data, indent=1))
        sys.stdout.write(f"\n{as_text(data)}\n")
        return not verdict.violations

    def _effects(self) -> list[Effect]:
        found: list[Effect] = []
        for name in self.hosts.names:
            found += read_effects(name, self.hosts.raw(name, "cat", EFFECTS).stdout)
        return found
