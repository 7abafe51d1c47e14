"""Ten times as many targets: whether a run takes ten times as long, and no more memory for each of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import memory, processor_time
from benchmarks.figures import Case, Column, table, write_json
from benchmarks.portal import Portal
from benchmarks.targets import Farm

SCRIPT = "uname -a"
LONGEST_RUN = 1200.0
TIMES = 10
WARM_UPS = 2


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How to measure; `targets` is the larger number. `folder` is empty and temporary."""

    targets: int
    width: int
    rounds: int
    folder: Path
    json: Path


def run(wanted: Wanted) -> str:
    """Measure and return the table; everything measured is in the JSON file."""
    processor_time.adopt_orphans()
    few = wanted.targets // TIMES
    cases = {count: Case(f"{count} targets") for count in (few, wanted.targets)}
    with Farm(wanted.folder / "targets", wanted.targets, addresses=TIMES) as farm:
        for count, case in cases.items():
            folder = wanted.folder / f"portal-{count}"
            folder.mkdir()
            with Portal(folder) as portal:
                portal.add(farm, most=count)
                _measure(portal, case, count, wanted)
    write_json(wanted.json, "scale", {"width": wanted.width, "script": SCRIPT}, list(cases.values()))
    peer = f"{few} targets"
    columns = [
        Column("wall s", "wall"),
        Column("wall / few", "wall", peer),
        Column("CPU s", "cpu"),
        Column("CPU / few", "cpu", peer),
        Column("memory growth MiB", "growth", unit=1 / 1024**2),
        Column("KiB a target", "each", unit=1 / 1024),
    ]
    return f"{table(list(cases.values()), columns)}\nA reading step, {wanted.width} targets at once."


def _measure(portal: Portal, case: Case, count: int, wanted: Wanted) -> None:
    for _ in range(WARM_UPS):
        portal.wait(portal.submit(_definition(wanted.width), targets="name:target-00*"), seconds=LONGEST_RUN)
    for _ in range(wanted.rounds):
        cpu = portal.cpu()
        with memory.Peak(lambda: memory.of_trees([portal.pid]), every=1.0) as peak:
            begun = time.monotonic()
            run = portal.submit(_definition(wanted.width))
            stored, _ = portal.wait(run, seconds=LONGEST_RUN)
        growth = float(peak.growth)
        case.add(wall=stored - begun, cpu=portal.cpu() - cpu, growth=growth, each=growth / count)
        print(f"{case.name}: {stored - begun:.1f} s", flush=True)


def _definition(width: int) -> dict[str, Any]:
    return {
        "name": "benchmark-scale",
        "rollout": {"canary": 0, "batches": ["100%"], "max_parallel": width, "max_failures": 0},
        "steps": [{"name": "one command", "effect": "read", "run": {"bash": SCRIPT}}],
    }
