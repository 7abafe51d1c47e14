"""From a line printed on a target to all browsers that watch it, beside a plain `ssh` that prints it to us.

The targets are on this machine, so that one clock stamps a line when it is printed and when it is read.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

from websockets.asyncio.client import connect

from benchmarks import processor_time
from benchmarks.figures import Case, Column, table, write_json
from benchmarks.peers import ssh_command
from benchmarks.portal import Portal
from benchmarks.targets import Farm

PEER = "ssh"
STEP = "print lines"
LONGEST_ROUND = 120.0
COLUMNS = [
    Column("p50 ms", "p50"),
    Column("p50 / ssh", "p50", PEER),
    Column("p99 ms", "p99"),
    Column("p99 / ssh", "p99", PEER),
    Column("load", "load"),
]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How to measure. `folder` is empty and temporary."""

    readers: int
    lines: int
    pause: float
    rounds: int
    folder: Path
    json: Path


def run(wanted: Wanted) -> str:
    """Measure and return the table; everything measured is in the JSON file."""
    processor_time.adopt_orphans()
    portal_folder = wanted.folder / "portal"
    portal_folder.mkdir()
    with Farm(wanted.folder / "targets", 1) as farm, Portal(portal_folder) as portal:
        portal.add(farm)
        cases = _measure(farm, portal, wanted)
    settings = {"readers": wanted.readers, "lines": wanted.lines, "pause": wanted.pause}
    write_json(wanted.json, "live", settings, cases)
    return table(cases, COLUMNS)


def _measure(farm: Farm, portal: Portal, wanted: Wanted) -> list[Case]:
    ours = {effect: Case(f"portal, {effect}, {wanted.readers} readers") for effect in ("read", "change")}
    peer = Case(PEER, note="one reader, no storage")
    for effect in ours:
        asyncio.run(_watched(portal, effect, _script(20, 0.05), readers=1))  # each worker loads what it needs
    script = _script(wanted.lines, wanted.pause)
    for _ in range(wanted.rounds):
        for effect, case in ours.items():
            _add(case, asyncio.run(_watched(portal, effect, script, readers=wanted.readers)))
        _add(peer, _over_ssh(farm, script))
    return [*ours.values(), peer]


def _add(case: Case, latencies: list[float]) -> None:
    steps = quantiles(latencies, n=100)
    case.add(p50=steps[49] * 1000, p99=steps[98] * 1000, load=os.getloadavg()[0])
    print(f"{case.name}: p50 {steps[49] * 1000:.0f} ms, p99 {steps[98] * 1000:.0f} ms", flush=True)


def _script(lines: int, pause: float) -> str:
    """Print the time, again and again, each in a line; the first ones only after the readers are there."""
    return (
        f"LC_ALL=C; sleep 1.5; for n in $(seq {lines}); do "
        f'printf "%s\\n" "$EPOCHREALTIME"; sleep {pause}; done'
    )


def _over_ssh(farm: Farm, script: str) -> list[float]:
    """Seconds from print to reading, of each line."""
    command = [*ssh_command(farm), f"{farm.login}@{farm.places[0].address}", f"bash -c '{script}'"]
    latencies = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        for line in process.stdout:
            latencies.append(time.time() - float(line))
    if process.returncode:
        raise SystemExit(f"ssh ended with {process.returncode}")
    return latencies


async def _watched(portal: Portal, effect: str, script: str, *, readers: int) -> list[float]:
    """Seconds from print to reading, of each line in each of the sockets."""
    definition = {
        "name": f"benchmark-live-{effect}",
        "steps": [{"name": STEP, "effect": effect, "run": {"bash": script}}],
    }
    number = await asyncio.to_thread(portal.submit, definition)
    async with asyncio.timeout(LONGEST_ROUND):
        found = await asyncio.gather(*(_read(portal, number) for _ in range(readers)))
    if len(set(map(len, found))) != 1:
        raise SystemExit(f"Readers got different numbers of lines: {[len(lines) for lines in found]}")
    return [latency for latencies in found for latency in latencies]


async def _read(portal: Portal, number: int) -> list[float]:
    """One browser: it follows the run and watches the output of its only target."""
    watch: dict[str, Any] = {"target": "target-001", "step": STEP, "stream": "stdout", "offset": 0}
    latencies, rest = [], b""
    headers = {"Authorization": f"Bearer {portal.token}"}
    address = f"ws://127.0.0.1:{portal.port}/ws/runs/{number}/?after=0"
    async with connect(address, additional_headers=headers, compression=None) as socket:
        await socket.send(json.dumps({"watch": watch}))
        async for text in socket:
            now = time.time()
            frame = json.loads(text)
            if frame["kind"] != "bytes":
                continue
            *whole, rest = (rest + base64.b64decode(frame["data"])).split(b"\n")
            latencies += [now - float(line) for line in whole]
            if frame["eof"]:
                break
    return latencies
