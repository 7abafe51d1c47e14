"""A step that prints very much: what storing it takes, in time and in memory."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import memory, processor_time
from benchmarks.figures import Case, Column, table, write_json
from benchmarks.peers import ssh_command
from benchmarks.portal import Portal
from benchmarks.targets import Farm

MEBIBYTE = 1024 * 1024
LINE = "all work and no play makes an operator a dull person 0123456789"
WARM_UPS = 4
PEER = "ssh > /dev/null"
COLUMNS = [
    Column("wall s", "wall"),
    Column("wall / ssh", "wall", PEER),
    Column("CPU s", "cpu"),
    Column("memory growth MiB", "growth", unit=1 / MEBIBYTE),
]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How to measure. `size` in bytes; `folder` is empty and temporary."""

    size: int
    rounds: int
    folder: Path
    json: Path


def run(wanted: Wanted) -> str:
    """Measure and return the table; everything measured is in the JSON file."""
    processor_time.adopt_orphans()
    portal_folder = wanted.folder / "portal"
    portal_folder.mkdir()
    portal = Portal(portal_folder, OPSPORTAL_OUTPUT_MEGABYTES=str(wanted.size // MEBIBYTE + 1))
    with Farm(wanted.folder / "targets", 1) as farm, portal:
        portal.add(farm)
        cases = _measure(farm, portal, wanted)
    write_json(wanted.json, "output", {"size": wanted.size}, cases)
    return (
        f"{table(cases, COLUMNS)}\n{wanted.size / MEBIBYTE:.0f} MiB, all of it stored; memory is that of all "
        "the portal's processes together, its peak less what it was before."
    )


def _measure(farm: Farm, portal: Portal, wanted: Wanted) -> list[Case]:
    ours = {effect: Case(f"portal, {effect}") for effect in ("read", "change")}
    peer = Case(PEER, note="nothing stored")
    for effect in ours:
        for _ in range(WARM_UPS):  # each worker has loaded what it needs
            _stored(portal, effect, MEBIBYTE)
    for _ in range(wanted.rounds):
        for effect, case in ours.items():
            case.add(**_stored(portal, effect, wanted.size))
            print(f"{case.name}: {case.samples['wall'][-1]:.2f} s", flush=True)
        peer.add(**_over_ssh(farm, wanted.size))
    return [*ours.values(), peer]


def _script(size: int) -> str:
    return f"yes '{LINE}' | head -c {size}"


def _stored(portal: Portal, effect: str, size: int) -> dict[str, float]:
    cpu = portal.cpu()
    with memory.Peak(lambda: memory.of_trees([portal.pid])) as peak:
        begun = time.monotonic()
        run = portal.submit(_definition(effect, size))
        stored, _ = portal.wait(run)
    if (found := sum(map(len, portal.printed(run)))) != size:
        raise SystemExit(f"{found} bytes of {size} are stored")
    return {"wall": stored - begun, "cpu": portal.cpu() - cpu, "growth": float(peak.growth)}


def _over_ssh(farm: Farm, size: int) -> dict[str, float]:
    command = [*ssh_command(farm), f"{farm.login}@{farm.places[0].address}", _script(size)]
    cpu, begun = processor_time.of_ended_children(), time.monotonic()
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return {"wall": time.monotonic() - begun, "cpu": processor_time.of_ended_children() - cpu}


def _definition(effect: str, size: int) -> dict[str, Any]:
    step = {"name": "print", "effect": effect, "timeout": "5m", "run": {"bash": _script(size)}}
    return {"name": f"benchmark-output-{effect}", "steps": [step]}
