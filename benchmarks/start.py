"""From the submission of a run to the first command that runs on its target."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

from benchmarks import processor_time
from benchmarks.figures import Case, Column, table, write_json
from benchmarks.peers import ssh_command
from benchmarks.portal import Portal
from benchmarks.targets import Farm

BAR = 300.0
"""Milliseconds that 19 of 20 submissions may take."""
SCRIPT = 'LC_ALL=C; printf "%s\\n" "$EPOCHREALTIME"'
WARM_UPS = 4
PEER = "ssh"
COLUMNS = [Column("p50 ms", "p50"), Column("p95 ms", "p95"), Column("p95 / ssh", "p95", PEER)]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How to measure. `folder` is empty and temporary."""

    runs: int
    rounds: int
    folder: Path
    json: Path


def run(wanted: Wanted) -> str:
    """Measure and return the table; everything measured is in the JSON file."""
    processor_time.adopt_orphans()
    portal_folder = wanted.folder / "portal"
    portal_folder.mkdir()
    targets = wanted.runs * wanted.rounds + WARM_UPS
    with Farm(wanted.folder / "targets", targets, addresses=10) as farm, Portal(portal_folder) as portal:
        portal.add(farm)
        cases = _measure(farm, portal, wanted)
    write_json(wanted.json, "start", {"runs": wanted.runs, "script": SCRIPT}, cases)
    held = {case.name: max(case.samples["p95"]) <= BAR for case in cases if case.name != PEER}
    said = ", ".join(f"{name} {'held' if good else 'missed'}" for name, good in held.items())
    return f"{table(cases, COLUMNS)}\np95 of {BAR:.0f} ms in every round: {said}."


def _measure(farm: Farm, portal: Portal, wanted: Wanted) -> list[Case]:
    names = [place.name for place in farm.places]
    for name in names[-WARM_UPS:]:
        _submitted(portal, name)
    new, known = Case("portal, new target"), Case("portal, known target")
    peer = Case(PEER, note="new connection, nothing stored")
    for number in range(wanted.rounds):
        fresh = names[number * wanted.runs : (number + 1) * wanted.runs]
        _add(new, [_submitted(portal, name) for name in fresh])
        _add(known, [_submitted(portal, names[-1]) for _ in fresh])
        _add(peer, [_over_ssh(farm) for _ in fresh])
    return [new, known, peer]


def _add(case: Case, seconds: list[float]) -> None:
    steps = quantiles(seconds, n=20)
    case.add(p50=steps[9] * 1000, p95=steps[18] * 1000, load=os.getloadavg()[0])
    print(f"{case.name}: p50 {steps[9] * 1000:.0f} ms, p95 {steps[18] * 1000:.0f} ms", flush=True)


def _submitted(portal: Portal, target: str) -> float:
    """Seconds from the request to the time that the target printed."""
    begun = time.time()
    run = portal.submit(_definition(), targets=f"name:{target}")
    portal.wait(run)
    return float(b"".join(portal.printed(run))) - begun


def _over_ssh(farm: Farm) -> float:
    begun = time.time()
    command = [*ssh_command(farm), f"{farm.login}@{farm.places[0].address}", f"bash -c '{SCRIPT}'"]
    printed = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout
    return float(printed) - begun


def _definition() -> dict[str, Any]:
    step = {"name": "tell the time", "effect": "read", "run": {"bash": SCRIPT}}
    return {"name": "benchmark-start", "steps": [step]}
