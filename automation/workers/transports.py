"""The two ways to a target, SSH and WinRM, under one face for the jobs of I/O threads.

Each function logs in through the pool and does one thing. They know no database.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from automation.libraries import envelope
from automation.libraries.connection_manager import ConnectionManager
from automation.libraries.envelope import Control, End, Fenced, Order, Probe
from automation.libraries.envelope import Refused as NotStarted
from automation.libraries.plain import PlainEnd, PlainRun
from automation.libraries.ssh_connection import SSHConnection
from automation.libraries.staging import LocalFile, stage
from automation.libraries.types import Credentials, Endpoint, OnOutput
from automation.libraries.windows import envelope as windows_envelope
from automation.libraries.windows.connection import WinRMConnection
from automation.libraries.windows.plain import run_powershell
from automation.libraries.windows.staging import FromBase64, stage_on_windows
from automation.libraries.windows.types import WinRMEndpoint
from automation.workers.local_files import Landing
from credentials.secret import Secret

# What the guard may need beyond the step's own time: grace, the last output, a slow network.
MARGIN_SECONDS = 60.0
PROBE_SECONDS = 30.0
BASE64_GROWTH = 2
"""At most so many times a file's bytes come from a Windows target: they are 4/3 and line ends."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where and as whom; `credentials` never leaves memory."""

    position: int
    endpoint: Endpoint
    credentials: Credentials = field(repr=False)


@dataclass(frozen=True, slots=True)
class Errand:
    """One try of one body."""

    address: Address
    order: Order
    control: Control
    file: LocalFile | None = None
    landing: Landing | None = None

    @property
    def become_password(self) -> Secret | None:
        """What sudo may ask for; None where sudo has no part."""
        return self.address.credentials.become_password if self.order.become else None


@dataclass(frozen=True, slots=True)
class Reclaim:
    """What is asked after a loss. `intended` is when the intent was stored, `deadline` when to stop asking,
    both by the monotonic clock; `offsets` are bytes of stdout and stderr that are stored."""

    intended: float
    offsets: tuple[int, int]
    deadline: float


class Session(Protocol):
    """A login on a target, for one job. All raise what their libraries raise."""

    def probe(self, *, become: bool, installation: str) -> Probe:
        """The target's spool, made where there is none."""

    def run(self, errand: Errand, *, on_started: Callable[[], None], on_output: OnOutput) -> End | NotStarted:
        """Start a changing body, at most once, and follow it."""

    def plain(self, errand: Errand, *, on_output: OnOutput) -> PlainEnd:
        """Run a reading body."""

    def reclaim(self, errand: Errand, asked: Reclaim, *, on_output: OnOutput) -> End | Fenced:
        """Fence an open attempt, or read on to its end."""


@contextmanager
def session(manager: ConnectionManager, address: Address) -> Iterator[Session]:
    """A login from the pool, by the protocol that the target speaks."""
    if isinstance(address.endpoint, WinRMEndpoint):
        with manager.windows_connection(address.endpoint, address.credentials) as windows:
            yield _Windows(windows)
    else:
        with manager.connection(address.endpoint, address.credentials) as linux:
            yield _Linux(linux, address)


class _Linux:
    """bash over SSH."""

    def __init__(self, connection: SSHConnection, address: Address) -> None:
        self._connection = connection
        self._become_password = address.credentials.become_password

    def probe(self, *, become: bool, installation: str) -> Probe:
        return envelope.probe(
            self._connection,
            become=become,
            installation=installation,
            spool=None,
            deadline=time.monotonic() + PROBE_SECONDS,
            become_password=self._become_password if become else None,
        )

    def run(self, errand: Errand, *, on_started: Callable[[], None], on_output: OnOutput) -> End | NotStarted:
        return envelope.run(
            self._connection,
            self._with_file(errand),
            on_started=on_started,
            on_output=on_output,
            control=errand.control,
            deadline=_follows_until(errand),
            become_password=errand.become_password,
        )

    def plain(self, errand: Errand, *, on_output: OnOutput) -> PlainEnd:
        order = errand.order
        script = PlainRun(
            order.payload,
            on_output,
            order.timeout,
            order.output_limit,
            become=order.become,
            become_password=errand.become_password,
            control=errand.control,
        )
        # sudo is asked for each script: it may have been taken away, and it keeps a log of what it lets run.
        return script.on(self._connection) if order.become else self._connection.reads.run(script)

    def reclaim(self, errand: Errand, asked: Reclaim, *, on_output: OnOutput) -> End | Fenced:
        order = errand.order
        return envelope.reclaim(
            self._connection,
            order.attempt,
            intent_age=time.monotonic() - asked.intended,
            spool=order.spool or "",
            spool_id=order.spool_id,
            become=order.become,
            offsets=asked.offsets,
            on_output=on_output,
            control=errand.control,
            deadline=asked.deadline,
            become_password=errand.become_password,
        )

    def _with_file(self, errand: Errand) -> Order:
        """The order, its file on the target before it; the script finds that by OPSPORTAL_FILE."""
        if errand.file is None:
            return errand.order
        deadline = time.monotonic() + errand.order.timeout
        place = stage(self._connection, errand.file, control=errand.control, deadline=deadline)
        known = f"export OPSPORTAL_FILE={shlex.quote(place or '')}; "
        # On the payload's first line, which is ours, so that the script's lines keep their numbers.
        return replace(errand.order, payload=known.encode() + errand.order.payload)


class _Windows:
    """PowerShell over WinRM. There is no sudo: a login has the rights that it has."""

    def __init__(self, connection: WinRMConnection) -> None:
        self._connection = connection

    def probe(self, *, become: bool, installation: str) -> Probe:
        del become
        return windows_envelope.probe(
            self._connection,
            installation=installation,
            spool=None,
            deadline=time.monotonic() + PROBE_SECONDS,
        )

    def run(self, errand: Errand, *, on_started: Callable[[], None], on_output: OnOutput) -> End | NotStarted:
        return windows_envelope.run(
            self._connection,
            self._with_file(errand),
            on_started=on_started,
            on_output=on_output,
            control=errand.control,
            deadline=_follows_until(errand),
        )

    def plain(self, errand: Errand, *, on_output: OnOutput) -> PlainEnd:
        order = errand.order
        fetches = errand.landing is not None
        return run_powershell(
            self._connection,
            order.payload,
            on_output=FromBase64(on_output) if fetches else on_output,
            control=errand.control,
            timeout=order.timeout,
            output_limit=order.output_limit * BASE64_GROWTH if fetches else order.output_limit,
        )

    def _with_file(self, errand: Errand) -> Order:
        """The order, its file on the target before it; the script finds that by OPSPORTAL_FILE."""
        order = errand.order
        if errand.file is None or order.spool is None:
            return order
        place = stage_on_windows(
            self._connection,
            errand.file,
            spool=order.spool,
            control=errand.control,
            deadline=time.monotonic() + order.timeout,
        )
        packed = json.loads(order.payload)
        packed["environment"]["OPSPORTAL_FILE"] = place or ""
        return replace(order, payload=json.dumps(packed, ensure_ascii=True).encode("ascii"))

    def reclaim(self, errand: Errand, asked: Reclaim, *, on_output: OnOutput) -> End | Fenced:
        order = errand.order
        outcome = windows_envelope.reclaim(
            self._connection,
            order.attempt,
            intent_age=time.monotonic() - asked.intended,
            spool=order.spool or "",
            spool_id=order.spool_id,
            offsets=asked.offsets,
            on_output=on_output,
            control=errand.control,
            deadline=asked.deadline,
        )
        if isinstance(outcome, End) and outcome.how == "ended":
            # The guard file tells the end, but not what came after it: a step that reboots waits for that.
            up_seconds = self.probe(become=False, installation=order.installation).up_seconds
            return replace(outcome, restarted=up_seconds < time.monotonic() - asked.intended)
        return outcome


def _follows_until(errand: Errand) -> float:
    return time.monotonic() + errand.order.timeout + MARGIN_SECONDS
