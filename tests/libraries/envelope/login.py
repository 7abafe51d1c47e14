"""A login on a local target, with the spool found, and short ways to run and look."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from automation.libraries.envelope import Control, End, Fenced, Order, Probe, Refused, probe, reclaim, run
from automation.libraries.envelope_upload import Guard
from automation.libraries.types import Connection, Stream

PATIENCE = 30.0


def soon(seconds: float = 3 * PATIENCE) -> float:
    return time.monotonic() + seconds


def eventually(true: Callable[[], object], *, within: float = PATIENCE) -> None:
    """Fail unless `true()` comes true in time."""
    until = time.monotonic() + within
    while not true():
        assert time.monotonic() < until, "It never came true"
        time.sleep(0.02)


@dataclass
class Output:
    """What came, and a flag to wait for the first of it."""

    stdout: bytes = b""
    stderr: bytes = b""
    started: threading.Event = field(default_factory=threading.Event)

    def take(self, stream: Stream, data: bytes) -> None:
        if stream == "stdout":
            self.stdout += data
        else:
            self.stderr += data


@dataclass
class Login:
    """One account on one target."""

    connection: Connection
    spool: str | None = None
    become: bool = False
    mark: str = ""
    guard: Guard = "sh"

    def __post_init__(self) -> None:
        self.probe: Probe = probe(
            self.connection, become=self.become, installation="lab", spool=self.spool, deadline=soon()
        )

    def order(self, script: bytes, *, attempt: str = "", timeout: float = 60, grace: float = 1) -> Order:
        return Order(
            attempt=attempt or secrets.token_hex(16),
            installation="lab",
            payload=script,
            timeout=timeout,
            grace=grace,
            spool=self.probe.spool,
            spool_id=self.probe.spool_id or "",
            become=self.become,
            guard=self.guard,
            detach=self.probe.detach,
        )

    def run(self, script: bytes | Order, control: Control | None = None) -> tuple[End | Refused, Output]:
        output = Output()
        end = run(
            self.connection,
            script if isinstance(script, Order) else self.order(script),
            on_started=output.started.set,
            on_output=output.take,
            control=control or Control(),
            deadline=soon(),
        )
        return end, output

    def reclaim(
        self,
        attempt: str,
        *,
        offsets: tuple[int, int] = (0, 0),
        age: float = 0,
        control: Control | None = None,
    ) -> tuple[End | Fenced, Output]:
        output = Output()
        assert self.probe.spool
        answer = reclaim(
            self.connection,
            attempt,
            intent_age=age,
            spool=self.probe.spool,
            spool_id=self.probe.spool_id or "",
            become=self.become,
            offsets=offsets,
            on_output=output.take,
            control=control or Control(),
            deadline=soon(),
        )
        return answer, output

    def directory(self, attempt: str) -> Path:
        assert self.probe.spool
        return Path(self.probe.spool) / "attempts" / attempt


def processes_with(mark: str) -> list[str]:
    """Command lines of living processes that carry `mark` in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found
