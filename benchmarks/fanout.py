"""One short command on many targets, from submission to all results stored, beside what others take."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks import processor_time
from benchmarks.figures import Case, Column, table, write_json
from benchmarks.peers import AnsibleRaw, XargsSsh
from benchmarks.portal import Portal
from benchmarks.targets import Farm

SCRIPT = "uname -a"
IDLE_SECONDS = 5.0
WARM_UPS = 2  # as many as execution workers, so that each has loaded what it needs
PEER = XargsSsh.name
COLUMNS = [
    Column("wall s", "wall"),
    Column("wall / xargs ssh", "wall", PEER),
    Column("wall / ansible", "wall", AnsibleRaw.name),
    Column("CPU s", "cpu"),
    Column("CPU / xargs ssh", "cpu", PEER),
    Column("CPU / ansible", "cpu", AnsibleRaw.name),
    Column("targets' CPU s", "targets_cpu"),
]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How to measure. `folder` is empty and temporary, `cache` is kept."""

    targets: int
    width: int
    rounds: int
    ansible: bool
    folder: Path
    cache: Path
    json: Path


class Peer(Protocol):
    """Another way to run a script on all targets."""

    name: str

    def run(self, script: str) -> None:
        """Raises CalledProcessError when a target failed."""

    def clean_up(self) -> None:
        """Leave nothing running."""


def run(wanted: Wanted) -> str:
    """Measure and return the table; everything measured is in the JSON file."""
    processor_time.adopt_orphans()
    portal_folder = wanted.folder / "portal"
    portal_folder.mkdir()
    with Farm(wanted.folder / "targets", wanted.targets) as farm, Portal(portal_folder) as portal:
        portal.add(farm)
        cases = _Fanout(farm, portal, wanted).measure()
    settings = {"targets": wanted.targets, "width": wanted.width, "script": SCRIPT}
    write_json(wanted.json, "fanout", settings, cases)
    return table(cases, COLUMNS)


class _Fanout:
    def __init__(self, farm: Farm, portal: Portal, wanted: Wanted) -> None:
        self._farm = farm
        self._portal = portal
        self._wanted = wanted
        self._ours = {effect: Case(f"portal, {effect}") for effect in ("read", "change")}
        self._idle = Case("portal, idle")
        self._peers: list[tuple[Case, Peer]] = [
            (Case(PEER), XargsSsh(farm, width=wanted.width)),
            *self._ansible(),
        ]

    def _ansible(self) -> list[tuple[Case, Peer]]:
        if not self._wanted.ansible:
            return []
        case = Case(AnsibleRaw.name)
        try:
            return [(case, AnsibleRaw(self._farm, width=self._wanted.width, cache=self._wanted.cache))]
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"Ansible could not be installed ({error}); it is left out.")
            return []

    def measure(self) -> list[Case]:
        for effect in self._ours:
            for _ in range(WARM_UPS):
                self._one_of_ours(effect)
        for _ in range(self._wanted.rounds):
            for effect, case in self._ours.items():
                case.add(**self._one_of_ours(effect))
                _progress(case)
            for case, peer in self._peers:
                case.add(**self._one_of(peer))
                _progress(case)
        before = self._portal.cpu()
        time.sleep(IDLE_SECONDS)
        share = (self._portal.cpu() - before) / IDLE_SECONDS
        self._idle.note = f"{share:.1%} of one core, all processes; it is part of the figures above"
        self._idle.samples["share_of_a_core"] = [share]
        return [*self._ours.values(), *(case for case, _ in self._peers), self._idle]

    def _one_of_ours(self, effect: str) -> dict[str, float]:
        cpu, targets_cpu, start = self._portal.cpu(), self._farm.cpu(), time.monotonic()
        run = self._portal.submit(_definition(effect, self._wanted.width))
        stored, _ = self._portal.wait(run)
        time.sleep(0.3)  # what a finished run still causes counts as well
        return {
            "wall": stored - start,
            "cpu": self._portal.cpu() - cpu,
            "targets_cpu": self._farm.cpu() - targets_cpu,
        }

    def _one_of(self, peer: Peer) -> dict[str, float]:
        known = {self._portal.pid} | self._farm.pids
        processor_time.reap(known)  # what the targets' guards left is no peer's
        cpu, targets_cpu = processor_time.of_ended_children(), self._farm.cpu()
        start = time.monotonic()
        peer.run(SCRIPT)
        wall = time.monotonic() - start
        peer.clean_up()
        return {
            "wall": wall,
            "cpu": processor_time.of_ended_children() - cpu,
            "targets_cpu": self._farm.cpu() - targets_cpu,
        }


def _progress(case: Case) -> None:
    last = ", ".join(f"{name} {values[-1]:.2f} s" for name, values in case.samples.items())
    print(f"{case.name}: {last}", file=sys.stderr, flush=True)


def _definition(effect: str, width: int) -> dict[str, Any]:
    return {
        "name": f"benchmark-{effect}",
        "rollout": {"canary": 0, "batches": ["100%"], "max_parallel": width, "max_failures": 0},
        "steps": [{"name": "one command", "effect": effect, "run": {"bash": SCRIPT}}],
    }


def crowd() -> str:
    """A word of warning when others use this machine too."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    return f"Load before the start: {load:.1f} on {cores} cores." + (
        " Others are at work here: trust CPU more than wall." if load > cores / 2 else ""
    )
