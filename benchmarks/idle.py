"""What connections cost that rest in the pool."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from automation.libraries.connection_manager import ConnectionManager, Limits
from automation.libraries.types import Credentials, Endpoint
from benchmarks import memory, processor_time
from benchmarks.figures import Case, Column, table, write_json
from benchmarks.targets import Farm, Place
from credentials.secret import Secret

BAR = 0.01
"""Share of one core that all of them together may cost."""
LOGINS_AT_ONCE = 20
TIDY_SECONDS = 1.0
"""How often the owner of the pool has it close what rested too long."""
COLUMNS = [
    Column("share of a core %", "share", unit=100),
    Column("threads", "threads"),
    Column("KiB each", "memory", unit=1 / 1024),
]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How to measure; `seconds` is the length of a round. `folder` is empty and temporary."""

    connections: int
    seconds: float
    rounds: int
    folder: Path
    json: Path


def run(wanted: Wanted) -> str:
    """Measure and return the table; everything measured is in the JSON file."""
    processor_time.adopt_orphans()
    manager = ConnectionManager(limits=Limits(total=wanted.connections, idle=24 * 3600.0))
    empty, full = Case("pool, empty"), Case(f"pool, {wanted.connections} at rest")
    with Farm(wanted.folder / "targets", wanted.connections, addresses=10) as farm:
        _rest(empty, manager, wanted)
        before = memory.of_process(os.getpid())
        _fill(farm, manager)
        if manager.stats.idle != wanted.connections:
            raise SystemExit(f"{manager.stats.idle} connections are at rest")
        full.add(memory=(memory.of_process(os.getpid()) - before) / wanted.connections)
        _rest(full, manager, wanted)
        manager.close()
    write_json(wanted.json, "idle", {"connections": wanted.connections}, [empty, full])
    held = "held" if max(full.samples["share"]) <= BAR else "missed"
    return f"{table([empty, full], COLUMNS)}\n{BAR:.0%} of a core in every round: {held}."


def _fill(farm: Farm, manager: ConnectionManager) -> None:
    login = Credentials(farm.login, private_key=Secret(farm.key.read_text(encoding="utf-8")))

    def log_in(place: Place) -> None:
        with manager.connection(Endpoint(place.address, place.port, (place.host_key,)), login):
            pass

    with ThreadPoolExecutor(LOGINS_AT_ONCE) as pool:
        list(pool.map(log_in, farm.places))


def _rest(case: Case, manager: ConnectionManager, wanted: Wanted) -> None:
    time.sleep(TIDY_SECONDS)
    for _ in range(wanted.rounds):
        cpu, begun = time.process_time(), time.monotonic()
        while (spent := time.monotonic() - begun) < wanted.seconds:
            time.sleep(TIDY_SECONDS)
            manager.close_idle()
        case.add(share=(time.process_time() - cpu) / spent, threads=float(threading.active_count()))
