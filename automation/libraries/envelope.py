"""The envelope: how a changing step runs on a Linux target so that it starts at most once.

`run` makes a directory named after the attempt, checks that the script came whole, and as its last act
makes a second directory; then a guard on the target owns the script, whatever becomes of the connection.
`reclaim` makes both directories itself, so that the attempt can never start, or else reads on from where
the caller stopped. The programs that run on the target are in `guard/`.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, TypeVar, get_args

from automation.libraries.envelope_exchange import Exchange, open_exchange
from automation.libraries.envelope_frames import Record
from automation.libraries.envelope_upload import Detach, Guard, Header, Upload, build_upload
from automation.libraries.errors import BecomeFailed, ConnectionLost, ShellUnusable, SpoolUnusable
from automation.libraries.outputs import OUTPUTS_LIMIT, read_outputs
from automation.libraries.types import Connection, OnOutput, Stream
from credentials.secret import Secret

How = Literal["ended", "cancelled", "timed_out", "output_limit", "rebooted", "lost_guard"]
Choice = TypeVar("Choice", bound=str)
TICKS_PER_SECOND = 100
"""The unit of start times in /proc: the kernel's promise to programs, whatever its own clock."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a login can do on a target. `spool` is None where no place is fit: then a loss proves nothing.

    `guard` is the quickest guard that the target has what it needs for.
    """

    boot: str
    up_seconds: float
    spool_id: str | None
    spool: str | None
    detach: Detach
    user: str
    survives_logout: bool | None
    guard: Guard = "sh"


@dataclass(frozen=True, slots=True)
class Order:
    """One try to start one body. `payload` is the parameters' assignments and the script, without NUL bytes.

    `timeout` and `grace` are seconds (whole ones, rounded up), `output_limit` is bytes of both streams
    together. `spool` and `spool_id` come from the probe; without a spool the script is bound to the channel.
    `guard` and `detach` come from the probe too; the guard in sh finds out by itself how to detach. `forget`
    names attempts whose directories may go.
    """

    attempt: str
    installation: str
    payload: bytes = field(repr=False)
    timeout: float
    spool: str | None
    spool_id: str
    grace: float = 10
    become: bool = False
    output_limit: int = 1024**3
    forget: tuple[str, ...] = ()
    guard: Guard = "sh"
    detach: Detach = "session"


@dataclass(frozen=True, slots=True)
class End:
    """How an attempt ended, from a framed record of the target.

    `exit_code` is None when nobody can know it. The lengths are the script's whole output. `left` names
    processes that got away from the guard, as `name:pid`; with `lost_guard` also those of the script itself.
    `outputs_cut`: the script wrote more than 64 KiB of outputs. `restarted`: the target was restarted since
    the script began, so a script that ended by a signal may have been ended by that. `incomplete`: output may
    be missing, because an answer was lost on the way and the target keeps no copy (WinRM).
    """

    how: How
    exit_code: int | None
    outputs: dict[str, str]
    stdout_length: int
    stderr_length: int
    left: tuple[str, ...]
    outputs_cut: bool = False
    restarted: bool = False
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """This call started nothing and never will. Reasons: `exists` (another call of this attempt came first,
    or a fence), `fenced`, `upload` (did not come whole), `interpreter.missing` (no bash), `spool.missing`,
    `spool.changed`, `spool.full`, `keeper` (the guard died first), `cancelled` (before anything was sent),
    `header`.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Fenced:
    """The attempt can never start. `proven`: it also never has, for the target has been up longer than the
    intent is old and the spool is the recorded one."""

    proven: bool
    boot: str
    spool_id: str


class Control:
    """The handle to stop a run: `cancel()` and `expire()` from any thread, before, during or after it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wakes: list[Callable[[], None]] = []
        self.cancelled = False
        self.expired = False

    def cancel(self) -> None:
        """Stop it because somebody wants so: it ends `cancelled`."""
        self.cancelled = True
        self._wake()

    def expire(self) -> None:
        """Stop it because its time is over: it ends `timed_out`."""
        self.expired = True
        self._wake()

    def attach(self, wake: Callable[[], None]) -> None:
        """Call `wake` at each wish, and now if there is one."""
        with self._lock:
            self._wakes.append(wake)
        if self.cancelled or self.expired:
            wake()

    def _wake(self) -> None:
        with self._lock:
            wakes = list(self._wakes)
        for wake in wakes:
            wake()


def probe(
    connection: Connection,
    *,
    become: bool,
    installation: str,
    spool: str | None,
    deadline: float,
    become_password: Secret | None = None,
) -> Probe:
    """Find (or make) the spool and say how scripts are detached. `spool` is the configured place, if any.

    Raises `BecomePasswordRequired`, `BecomeFailed`, `ShellUnusable`, and what a connection raises.
    """
    header = Header("probe", installation=installation, spool=spool)
    upload = build_upload(header, become=become, become_password=become_password)
    with _exchange(connection, upload, become=become, deadline=deadline) as exchange:
        boot, up_seconds = _identity(exchange.answer())
        detach, survives, user, spool_id, place, perl = _fields(exchange.answer(), "PROBE", 6)
    return Probe(
        boot=boot,
        up_seconds=up_seconds,
        spool_id=None if spool_id == "-" else spool_id,
        spool=None if place == "-" else place,
        detach=_one_of(detach, get_args(Detach)),
        user=user,
        survives_logout={"yes": True, "no": False}.get(survives),
        guard="perl" if perl == "yes" else "sh",
    )


def run(
    connection: Connection,
    order: Order,
    *,
    on_started: Callable[[], None],
    on_output: OnOutput,
    control: Control,
    deadline: float,
    become_password: Secret | None = None,
) -> End | Refused:
    """Start the order's script and read until its end. `deadline` bounds this call, not the script.

    `on_started` is called when the target has said that the script is started. Raises what `probe` raises
    (`sent` False: nothing was started), and `ConnectionLost` or `CommandTimeout` with `sent` True: then
    `reclaim` tells. Where the guard in Perl cannot be started any more, the one in sh is.
    """
    if control.cancelled or control.expired:
        return Refused("cancelled")
    take = partial(
        _run,
        connection,
        on_started=on_started,
        on_output=on_output,
        control=control,
        deadline=deadline,
        become_password=become_password,
    )
    if order.guard == "perl" and order.spool:
        # Both say that the guard never spoke. A refused password is not tried twice: it may lock the login.
        with contextlib.suppress(ShellUnusable, *(() if become_password else (BecomeFailed,))):
            return take(order)
    return take(replace(order, guard="sh"))


def _run(
    connection: Connection,
    order: Order,
    *,
    on_started: Callable[[], None],
    on_output: OnOutput,
    control: Control,
    deadline: float,
    become_password: Secret | None,
) -> End | Refused:
    header = Header(
        "run" if order.spool else "direct",
        attempt=order.attempt,
        installation=order.installation,
        spool=order.spool,
        spool_id=order.spool_id or "-",
        timeout=order.timeout,
        grace=order.grace,
        output_limit=order.output_limit,
        forget=order.forget,
        guard=order.guard,
        detach=order.detach if order.guard == "perl" else None,
    )
    upload = build_upload(header, order.payload, become=order.become, become_password=become_password)
    with _exchange(
        connection, upload, become=order.become, deadline=deadline, on_output=on_output, control=control
    ) as exchange:
        exchange.answer()
        record = exchange.answer()
        if record.word == "REFUSED":
            return Refused(_fields(record, "REFUSED", 1)[0])
        _fields(record, "BEGIN", 0)
        on_started()
        return _read_end(exchange, control, (0, 0))


def reclaim(
    connection: Connection,
    attempt: str,
    *,
    intent_age: float,
    spool: str,
    spool_id: str,
    become: bool,
    offsets: tuple[int, int],
    on_output: OnOutput,
    control: Control,
    deadline: float,
    become_password: Secret | None = None,
) -> Fenced | End:
    """Make sure that the attempt can never start, or read on from `offsets` (stdout, stderr) to its end.

    `intent_age` is the age of the recorded intent to start it, in seconds, at the moment of this call. Raises
    as `run` does, and `SpoolUnusable` when neither was possible.
    """
    called = time.monotonic()
    header = Header("reclaim", attempt=attempt, spool=spool, spool_id=spool_id or "-", offsets=offsets)
    upload = build_upload(header, become=become, become_password=become_password)
    with _exchange(
        connection, upload, become=become, deadline=deadline, on_output=on_output, control=control
    ) as exchange:
        boot, up_seconds = _identity(exchange.answer())
        record = exchange.answer()
        if record.word == "REFUSED":
            raise SpoolUnusable("The target's spool could not take the fence", sent=True)
        if record.word == "FENCED":
            found = _fields(record, "FENCED", 1)[0]
            # The target may have taken its time, and may have been started in it: the intent grew older.
            age = intent_age + time.monotonic() - called
            return Fenced(proven=up_seconds > age and found == spool_id, boot=boot, spool_id=found)
        _fields(record, "BEGIN", 0)
        return _read_end(exchange, control, offsets)


@contextlib.contextmanager
def _exchange(
    connection: Connection,
    upload: Upload,
    *,
    become: bool,
    deadline: float,
    on_output: OnOutput | None = None,
    control: Control | None = None,
) -> Iterator[Exchange]:
    exchange = open_exchange(
        connection,
        upload,
        become=become,
        deadline=deadline,
        on_output=on_output or _drop,
        control=control,
    )
    try:
        yield exchange
    finally:
        exchange.channel.close()


def _drop(_stream: Stream, _data: bytes) -> None:
    """For orders that have no script."""


def _read_end(exchange: Exchange, control: Control, offsets: tuple[int, int]) -> End:
    how, code, stdout_length, stderr_length, left, restarted = _fields(exchange.answer(), "END", 6)
    if stdout_length == "-":
        return _direct_end(exchange, control, code)
    lengths = (int(stdout_length), int(stderr_length))
    expected = [max(0, length - offset) for length, offset in zip(lengths, offsets, strict=True)]
    exchange.read_until(lambda: exchange.received["stderr"] >= expected[1])
    if [exchange.received["stdout"], exchange.received["stderr"]] != expected:
        raise ConnectionLost("The output that came is not as long as the target says")
    return End(
        how=_one_of(how, get_args(How)),
        exit_code=None if code == "-" else int(code),
        outputs=read_outputs(exchange.outputs).values,
        stdout_length=lengths[0],
        stderr_length=lengths[1],
        left=() if left == "-" else tuple(left.split(",")),
        outputs_cut=len(exchange.outputs) > OUTPUTS_LIMIT,
        restarted=restarted == "yes",
    )


def _direct_end(exchange: Exchange, control: Control, code: str) -> End:
    """Without a spool the target keeps no account: what came is all, and our own wish says why it ended."""
    exchange.read_until(lambda: exchange.stderr_ended)
    how: How = "cancelled" if control.cancelled else "timed_out" if control.expired else "ended"
    received = exchange.received
    return End(how, int(code), {}, received["stdout"], received["stderr"], ())


def _identity(record: Record) -> tuple[str, float]:
    """The target's boot and how long it is up; a container's process 1 began after the kernel did."""
    boot, first, uptime = _fields(record, "HELLO", 3)
    up_seconds = float(uptime) - int(first) / TICKS_PER_SECOND
    # Some containers show their own uptime beside the kernel's start times.
    return boot, up_seconds if up_seconds >= 0 else float(uptime)


def _fields(record: Record, word: str, count: int) -> tuple[str, ...]:
    if record.word != word or len(record.fields) != count:
        raise ConnectionLost(f"The target's guard answered {record.word} instead of {word}")
    return record.fields


def _one_of(value: str, choices: tuple[Choice, ...]) -> Choice:
    for choice in choices:
        if value == choice:
            return choice
    raise ConnectionLost("The target's guard answered with an unknown word")
