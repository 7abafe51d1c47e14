"""How a changing step runs on a Windows target so that it starts at most once; the twin of the SSH envelope.

The ids of its shell and its command follow from the attempt's own id, so whoever knows the attempt knows them
before anything is sent, and can read on. The bootstrap makes the attempt's guard file with CreateNew before
the script begins; `reclaim` makes the same file, so that the attempt can never start, or else reads on with
Receive until its end. Output that another process received and did not store is gone, which `incomplete`
tells.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from automation.libraries import envelope
from automation.libraries.deadlines import remaining
from automation.libraries.envelope import End, Fenced, Order, Probe, Refused
from automation.libraries.envelope_frames import Record as Frame
from automation.libraries.errors import ConnectionLost, LibraryError, SpoolUnusable
from automation.libraries.outputs import read_outputs
from automation.libraries.plain import PlainEnd
from automation.libraries.types import OnOutput, Stream
from automation.libraries.windows.bootstrap import UPLOAD_BROKEN, command_line, stdin_of
from automation.libraries.windows.connection import WinRMConnection
from automation.libraries.windows.errors import ShellLost
from automation.libraries.windows.follow import GRACE, Follow, Place
from automation.libraries.windows.plain import explain_end, plain_end
from automation.libraries.windows.streams import Streams, decoded
from automation.libraries.windows.types import OnRecord
from automation.libraries.windows.wsman import Fault, NothingYet, signed

LIVES_ON = 600.0
"""Seconds that an attempt's shell outlives its script's time without anybody asking for it."""
ASK_SECONDS = 60.0
"""How long a question to the guard may take."""
LOOK_AGAIN = 2.0
"""Seconds between two looks at a script whose output cannot be read any more."""
_SPACE = uuid.UUID("6f707370-6f72-5461-6c2d-77696e726d31")

OnIntent = Callable[["Ids"], None]


@dataclass(frozen=True, slots=True)
class Ids:
    """Where an attempt runs on its target. `certain`: the target takes ids of ours, as far as is known."""

    shell_id: str
    command_id: str
    certain: bool = True


def ids_of(attempt: str) -> Ids:
    """The ids under which an attempt (32 hex digits) runs; known before it is sent."""
    shell_id = str(uuid.uuid5(_SPACE, f"shell {attempt}")).upper()
    return Ids(shell_id, str(uuid.UUID(hex=attempt)).upper())


def nonce_of(attempt: str) -> str:
    """What marks the records of an attempt; another process must know it too."""
    return hashlib.sha256(f"opsportal {attempt}".encode()).hexdigest()[:32]


def probe(connection: WinRMConnection, *, installation: str, spool: str | None, deadline: float) -> Probe:
    """Find (or make) the spool. `spool` is the configured base directory, if any.

    Raises `PowerShellUnusable`, and what a connection raises.
    """
    order = {"mode": "probe", "installation": installation, "spool": spool}
    frame = _asked(connection, order, nonce_of(uuid.uuid4().hex), deadline)
    boot, up_seconds, user, place, spool_id = _fields(frame, "PROBE", 5)
    return Probe(
        boot=boot,
        up_seconds=float(up_seconds),
        spool_id=None if spool_id == "-" else spool_id,
        spool=decoded(place).decode("utf-8", "replace") or None,
        detach="session",
        user=decoded(user).decode("utf-8", "replace"),
        survives_logout=True,
    )


def run(
    connection: WinRMConnection,
    order: Order,
    *,
    on_started: Callable[[], None],
    on_output: OnOutput,
    control: envelope.Control,
    deadline: float,
    on_intent: OnIntent | None = None,
    on_record: OnRecord | None = None,
) -> End | Refused:
    """Start the order's packed script (`pack_script`) and read until its end.

    `deadline` bounds this call, not the script. `on_intent` is told the ids before anything is sent, and
    again if the target gave other ones. `on_started` is called when the target has said that the script is
    started. Raises errors with `sent` False (nothing was started), and others with `sent` True: then
    `reclaim` tells.
    """
    if control.cancelled or control.expired:
        return Refused("cancelled")
    if order.spool is None:
        return Refused("spool.missing")
    ids = ids_of(order.attempt)
    intent = on_intent or _ignore
    intent(ids)
    streams = Streams(nonce_of(order.attempt), on_output, on_record)
    place = _start(connection, ids, idle_seconds=order.timeout + LIVES_ON)
    if place != Place(ids.shell_id, ids.command_id):
        intent(Ids(place.shell_id, place.command_id, certain=False))
    attempt = _Attempt(connection, place, streams, order, control, on_started)
    return attempt.carry(deadline)


def _ignore(_ids: Ids) -> None:
    """Nobody wants to know."""


def _start(connection: WinRMConnection, ids: Ids, *, idle_seconds: float) -> Place:
    """A shell for this attempt alone, so that whoever comes next finds it, and its command."""
    shell_id = connection.open_shell(ids.shell_id, idle_seconds=idle_seconds)
    try:
        command_id = connection.start_in(shell_id, ids.command_id, *command_line())
    except LibraryError:
        connection.delete_shell(shell_id)
        raise
    return Place(shell_id, command_id)


class _Attempt:
    """One attempt from its input to its end."""

    def __init__(
        self,
        connection: WinRMConnection,
        place: Place,
        streams: Streams,
        order: Order,
        control: envelope.Control,
        on_started: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._place = place
        self._streams = streams
        self._order = order
        streams.on_frame = self._seen
        self._on_started = on_started
        self._follow = Follow(connection, place, streams, output_limit=order.output_limit, control=control)

    def _seen(self, frame: Frame) -> None:
        if frame.word == "BEGIN":
            self._on_started()

    def carry(self, deadline: float) -> End | Refused:
        order = self._order
        document = json.loads(order.payload) | {
            "mode": "run",
            "nonce": nonce_of(order.attempt),
            "attempt": order.attempt,
            "spool": order.spool,
            "spool_id": order.spool_id,
            "forget": list(order.forget),
        }
        try:
            self._follow.upload(stdin_of(document))
            self._follow.until_end(timeout=order.timeout, deadline=deadline)
        except LibraryError as error:
            if not error.sent:
                self._connection.delete_shell(self._place.shell_id)
            raise
        return self._outcome()

    def _outcome(self) -> End | Refused:
        refused = self._streams.frame("REFUSED")
        if refused is not None:
            self._connection.delete_shell(self._place.shell_id)
            return Refused(_fields(refused, "REFUSED", 1)[0])
        if self._follow.exit_code == UPLOAD_BROKEN and not self._streams.begun:
            self._connection.delete_shell(self._place.shell_id)
            return Refused("upload")
        if self._follow.stopped != "ended" and not self._follow.confirmed:
            raise ConnectionLost("Whether the script ended when it was told to is not known")
        end = plain_end(self._follow, self._streams)
        # Only now: closing the shell would end what still ran in it.
        self._connection.delete_shell(self._place.shell_id)
        return as_end(end)


def as_end(end: PlainEnd, *, before: tuple[int, int] = (0, 0)) -> End:
    """The end in the words of the envelope; `before` counts the output that was read earlier."""
    return End(
        how=end.how,
        exit_code=end.exit_code,
        outputs=read_outputs(end.outputs).values,
        stdout_length=before[0] + end.stdout_length,
        stderr_length=before[1] + end.stderr_length,
        left=() if end.confirmed else ("the script itself",),
        outputs_cut=end.outputs_cut,
        incomplete=end.incomplete,
    )


def reclaim(
    connection: WinRMConnection,
    attempt: str,
    *,
    intent_age: float,
    spool: str,
    spool_id: str,
    offsets: tuple[int, int],
    on_output: OnOutput,
    control: envelope.Control,
    deadline: float,
    ids: Ids | None = None,
    on_record: OnRecord | None = None,
) -> Fenced | End:
    """Make sure that the attempt can never start, or read on to its end.

    `offsets` counts what is stored of its output; the target keeps no copy of what was received, so what
    comes is appended. `ids` are the stored ones, where the target gave others than `ids_of`. Raises as `run`
    does, and `SpoolUnusable` when neither was possible.
    """
    place = ids or ids_of(attempt)
    called = time.monotonic()
    order = {"mode": "reclaim", "attempt": attempt, "spool": spool}
    # A mark of its own: the attempt's would be mistaken where both write at the same time.
    frame = _asked(connection, order, nonce_of(uuid.uuid4().hex), deadline)
    if frame.word == "REFUSED":
        raise SpoolUnusable("The target's spool could not take the fence", sent=True)
    if frame.word == "FENCED":
        boot, up_seconds, found = _fields(frame, "FENCED", 3)
        connection.delete_shell(place.shell_id)
        age = intent_age + time.monotonic() - called
        return Fenced(proven=float(up_seconds) > age and found == spool_id, boot=boot, spool_id=found)
    reattach = _Reattach(connection, Place(place.shell_id, place.command_id), offsets, control)
    try:
        end = reattach.read_on(Streams(nonce_of(attempt), on_output, on_record, resumed=True), deadline)
    except ShellLost:
        return _without_output(connection, order, frame, offsets, deadline)
    connection.delete_shell(place.shell_id)
    return end


class _Reattach:
    """Reading on what another process began to read."""

    def __init__(
        self,
        connection: WinRMConnection,
        place: Place,
        offsets: tuple[int, int],
        control: envelope.Control,
    ) -> None:
        self._connection = connection
        self._place = place
        self._offsets = offsets
        self._control = control

    def read_on(self, streams: Streams, deadline: float) -> End:
        follow = Follow(self._connection, self._place, streams, output_limit=2**63, control=self._control)
        follow.incomplete = True  # whoever read before may have received more than was stored
        follow.uploaded = True
        follow.until_end(timeout=None, deadline=deadline)
        if streams.end() is None and follow.stopped == "ended":
            raise explain_end(follow, streams)
        if not follow.confirmed:
            raise ConnectionLost("Whether the script ended when it was told to is not known")
        return as_end(plain_end(follow, streams), before=self._offsets)


def _without_output(
    connection: WinRMConnection,
    order: dict[str, Any],
    frame: Frame,
    offsets: tuple[int, int],
    deadline: float,
) -> End:
    """The shell is gone and the output with it; the guard file and the process list still tell the end."""
    while True:
        state, code = _fields(frame, "FOUND", 2)
        if state != "running":
            break
        if remaining(deadline) < LOOK_AGAIN:
            raise ConnectionLost("The script still runs, and its output cannot be read any more")
        time.sleep(LOOK_AGAIN)
        frame = _asked(connection, order, nonce_of(uuid.uuid4().hex), deadline)
    hows: dict[str, Literal["ended", "rebooted", "lost_guard"]] = {"ended": "ended", "rebooted": "rebooted"}
    return End(
        how=hows.get(state, "lost_guard"),
        exit_code=signed(code) if state == "ended" else None,
        outputs={},
        stdout_length=offsets[0],
        stderr_length=offsets[1],
        left=(),
        incomplete=True,
    )


def _asked(connection: WinRMConnection, order: dict[str, Any], nonce: str, deadline: float) -> Frame:
    """The guard's one answer to a question, asked in the warm shell; asking twice harms nothing."""
    streams = Streams(nonce, _drop, None)
    shell_id, command_id = connection.start(*command_line())
    follow = Follow(connection, Place(shell_id, command_id), streams, output_limit=2**20)
    follow.upload(stdin_of({**order, "nonce": nonce}))
    follow.until_end(timeout=min(ASK_SECONDS, remaining(deadline)), deadline=deadline + GRACE)
    try:
        connection.wsman.signal(shell_id, command_id)
    except (Fault, NothingYet, LibraryError):
        connection.drop_shell()
    if not streams.frames:
        raise explain_end(follow, streams)
    return streams.frames[0]


def _drop(_stream: Stream, _data: bytes) -> None:
    """For questions, which have no script."""


def _fields(frame: Frame, word: str, count: int) -> tuple[str, ...]:
    if frame.word != word or len(frame.fields) != count:
        raise ConnectionLost(f"The target's guard answered {frame.word} instead of {word}")
    return frame.fields
