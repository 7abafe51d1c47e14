"""What the envelope of a changing step costs over a plain command, on new and on pooled connections."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import uuid4

from automation.libraries import envelope
from automation.libraries.connection_manager import ConnectionManager
from automation.libraries.envelope import Control, Order, Probe
from automation.libraries.plain import run_plain
from automation.libraries.ssh_connection import SSHConnection
from automation.libraries.types import Credentials, Endpoint, Stream
from benchmarks import processor_time
from benchmarks.figures import Case, Column, table, write_json
from benchmarks.targets import Farm
from credentials.secret import Secret

SCRIPT = "uname -a"
SECONDS = 30.0
SETTLE_SECONDS = 0.35  # the guard's watcher looks four times a second whether the script has ended
Way = Callable[[SSHConnection], None]


def run(*, rounds: int, folder: Path, json: Path) -> str:
    """Measure and return the table; everything measured is in the JSON file."""
    processor_time.adopt_orphans()
    with Farm(folder / "targets", 1) as farm:
        bench = _Bench(farm)
        cases = bench.measure(rounds)
        detach = bench.probe.detach
    write_json(json, "envelope", {"rounds": rounds, "script": SCRIPT, "detach": detach}, cases)
    columns = [
        Column("wall ms", "wall", unit=1000),
        Column("wall / bare", "wall_ratio"),
        Column("client CPU ms", "cpu", unit=1000),
        Column("target CPU ms (mean)", "target_cpu", unit=1000, mean=True),
    ]
    return f"{table(_with_ratios(cases), columns)}\nThe guard detaches by: {detach}."


class _Bench:
    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        place = farm.places[0]
        self._endpoint = Endpoint(place.address, place.port, (place.host_key,))
        self._login = Credentials(farm.login, private_key=Secret(farm.key.read_text(encoding="utf-8")))
        self._manager = ConnectionManager()
        self._installation = uuid4().hex
        with self._manager.connection(self._endpoint, self._login) as connection:
            self.probe: Probe = envelope.probe(
                connection,
                become=False,
                installation=self._installation,
                spool=None,
                deadline=time.monotonic() + SECONDS,
            )
        self._ways: dict[str, Way] = {
            "bare exec": self._bare,
            "reading step": self._reading,
            "changing step": self._changing,
        }

    def measure(self, rounds: int) -> list[Case]:
        cases = {
            (warmth, name): Case(f"{name}, {warmth}") for warmth in ("cold", "warm") for name in self._ways
        }
        for number in range(rounds + 1):
            for (warmth, name), case in cases.items():
                figures = self._once(self._ways[name], cold=warmth == "cold")
                if number:  # the first of each warms up
                    case.add(**figures)
        self._manager.close()
        return list(cases.values())

    def _once(self, way: Way, *, cold: bool) -> dict[str, float]:
        manager = ConnectionManager() if cold else self._manager
        targets, orphans, own = self._farm.cpu(), self._orphans(), time.process_time()
        start = time.perf_counter()
        with manager.connection(self._endpoint, self._login) as connection:
            way(connection)
            wall = time.perf_counter() - start
        if cold:
            manager.close()
        cpu = time.process_time() - own
        time.sleep(SETTLE_SECONDS)
        target_cpu = self._farm.cpu() - targets + self._orphans() - orphans
        return {"wall": wall, "cpu": cpu, "target_cpu": target_cpu}

    def _orphans(self) -> float:
        """What outlives its connection ends here: guards, until their script's end."""
        processor_time.reap(self._farm.pids)
        return processor_time.of_ended_children()

    def _bare(self, connection: SSHConnection) -> None:
        deadline = time.monotonic() + SECONDS
        channel = connection.open_channel(SCRIPT, deadline=deadline)
        while not channel.ended:
            channel.wait(deadline=deadline)
            channel.read("stdout")
            channel.read("stderr")
        channel.close()
        assert channel.exit_status == 0

    def _reading(self, connection: SSHConnection) -> None:
        end = run_plain(connection, SCRIPT.encode(), on_output=_drop, timeout=SECONDS, output_limit=1_000_000)
        assert end.exit_code == 0

    def _changing(self, connection: SSHConnection) -> None:
        order = Order(
            attempt=uuid4().hex,
            installation=self._installation,
            payload=SCRIPT.encode(),
            timeout=SECONDS,
            spool=self.probe.spool,
            spool_id=self.probe.spool_id or "",
            guard=self.probe.guard,
            detach=self.probe.detach,
        )
        end = envelope.run(
            connection,
            order,
            on_started=partial(_drop, "stdout", b""),
            on_output=_drop,
            control=Control(),
            deadline=time.monotonic() + SECONDS,
        )
        assert isinstance(end, envelope.End)
        assert end.exit_code == 0


def _drop(_stream: Stream, _data: bytes) -> None:
    """Output is not what is measured here."""


def _with_ratios(cases: list[Case]) -> list[Case]:
    bare = {case.name.rpartition(", ")[2]: case for case in cases if case.name.startswith("bare")}
    for case in cases:
        middle, peer = case.median("wall"), bare[case.name.rpartition(", ")[2]].median("wall")
        if middle and peer:
            case.samples["wall_ratio"] = [middle / peer]
    return cases
