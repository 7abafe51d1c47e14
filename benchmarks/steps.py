"""Many steps on open connections, beside `ssh` through a ControlMaster that does the same on the targets."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from automation.libraries import envelope
from automation.libraries.envelope import Control, Order
from automation.libraries.types import Stream
from benchmarks import processor_time
from benchmarks.figures import Case, Column, table, write_json
from benchmarks.peers import Masters
from benchmarks.portal import Portal
from benchmarks.program_channel import ProgramConnection
from benchmarks.targets import Farm, Place

SCRIPT = "uname -a"
SECONDS = 60.0
WARM_UPS = 3
PEER = "ssh, ControlMaster, envelope"
COLUMNS = [
    Column("wall s", "wall"),
    Column("wall / ssh in envelope", "wall", PEER),
    Column("CPU s", "cpu"),
    Column("CPU / ssh in envelope", "cpu", PEER),
]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How to measure. `folder` is empty and temporary."""

    targets: int
    steps: int
    rounds: int
    folder: Path
    json: Path


def run(wanted: Wanted) -> str:
    """Measure and return the table; everything measured is in the JSON file."""
    processor_time.adopt_orphans()
    portal_folder = wanted.folder / "portal"
    portal_folder.mkdir()
    with Farm(wanted.folder / "t", wanted.targets) as farm, Portal(portal_folder) as portal:
        portal.add(farm)
        with Masters(farm) as masters:
            cases = _Steps(farm, portal, masters, wanted).measure()
    settings = {"targets": wanted.targets, "steps": wanted.steps, "script": SCRIPT}
    write_json(wanted.json, "steps", settings, cases)
    return (
        f"{table(cases, COLUMNS)}\n{wanted.targets} targets, {wanted.steps} steps on each, connections open."
    )


class _Steps:
    def __init__(self, farm: Farm, portal: Portal, masters: Masters, wanted: Wanted) -> None:
        self._farm = farm
        self._portal = portal
        self._masters = masters
        self._wanted = wanted
        self._installation = uuid4().hex
        self._probes = {place: self._probe(place) for place in farm.places}

    def measure(self) -> list[Case]:
        ours = {effect: Case(f"portal, {effect}") for effect in ("read", "change")}
        peer = Case(PEER)
        for _ in range(WARM_UPS):
            for effect in ours:
                self._one_of_ours(effect)
        self._one_of_the_peer()
        for _ in range(self._wanted.rounds):
            for effect, case in ours.items():
                case.add(**self._one_of_ours(effect))
            peer.add(**self._one_of_the_peer())
            print(
                ", ".join(f"{c.name} {c.samples['wall'][-1]:.2f} s" for c in [*ours.values(), peer]),
                flush=True,
            )
        return [*ours.values(), peer]

    def _one_of_ours(self, effect: str) -> dict[str, float]:
        cpu, begun = self._portal.cpu(), time.monotonic()
        stored, _ = self._portal.wait(self._portal.submit(self._definition(effect)))
        return {"wall": stored - begun, "cpu": self._portal.cpu() - cpu}

    def _one_of_the_peer(self) -> dict[str, float]:
        processor_time.reap({self._portal.pid} | self._farm.pids)
        spent, begun = processor_time.of_ended_children(), time.monotonic()
        with ThreadPoolExecutor(len(self._farm.places)) as pool:
            list(pool.map(self._all_steps, self._farm.places))
        return {"wall": time.monotonic() - begun, "cpu": processor_time.of_ended_children() - spent}

    def _all_steps(self, place: Place) -> None:
        for _ in range(self._wanted.steps):
            self._one_step(place)

    def _one_step(self, place: Place) -> None:
        probe = self._probes[place]
        order = Order(
            attempt=uuid4().hex,
            installation=self._installation,
            payload=SCRIPT.encode(),
            timeout=SECONDS,
            spool=probe.spool,
            spool_id=probe.spool_id or "",
            guard=probe.guard,
            detach=probe.detach,
        )
        end = envelope.run(
            self._connection(place),
            order,
            on_started=partial(_drop, "stdout", b""),
            on_output=_drop,
            control=Control(),
            deadline=time.monotonic() + SECONDS,
        )
        assert isinstance(end, envelope.End)
        assert end.exit_code == 0

    def _probe(self, place: Place) -> envelope.Probe:
        return envelope.probe(
            self._connection(place),
            become=False,
            installation=self._installation,
            spool=None,
            deadline=time.monotonic() + SECONDS,
        )

    def _connection(self, place: Place) -> ProgramConnection:
        return ProgramConnection(partial(self._masters.command, place))

    def _definition(self, effect: str) -> dict[str, Any]:
        steps = [
            {"name": f"step {number}", "effect": effect, "run": {"bash": SCRIPT}}
            for number in range(1, self._wanted.steps + 1)
        ]
        width = self._wanted.targets
        rollout = {"canary": 0, "batches": ["100%"], "max_parallel": width, "max_failures": 0}
        return {"name": f"benchmark-steps-{effect}", "rollout": rollout, "steps": steps}


def _drop(_stream: Stream, _data: bytes) -> None:
    """Output is not what is measured here."""
