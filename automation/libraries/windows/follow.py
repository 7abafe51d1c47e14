"""One command from its input to its end: our own loop of Receives, with a deadline, that can be stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from automation.libraries.deadlines import after, remaining
from automation.libraries.errors import CommandTimeout, ConnectionLost, LibraryError
from automation.libraries.types import Control
from automation.libraries.windows.connection import WinRMConnection, new_id
from automation.libraries.windows.streams import Streams
from automation.libraries.windows.wsman import (
    ABORTED,
    SEND_PIECE,
    SHELL_GONE,
    Fault,
    NothingYet,
    Received,
    explain,
)

POLL = 10.0
"""Seconds that one Receive waits on the target."""
GRACE = 15.0
"""Seconds for the end of a command that was told to end."""
REATTACH = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each try to go on reading over a new connection."""
How = Literal["ended", "cancelled", "timed_out", "output_limit"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command runs."""

    shell_id: str
    command_id: str


class Follow:
    """Follows one command. Only `wish` may come from another thread."""

    def __init__(
        self,
        connection: WinRMConnection,
        place: Place,
        streams: Streams,
        *,
        output_limit: int,
        control: Control | None = None,
    ) -> None:
        self.stopped: How = "ended"
        self.done = False
        self.exit_code: int | None = None
        self.incomplete = False
        """An answer with output may have been lost on the way."""
        self.uploaded = False
        """The last of the input may have arrived, so the script may have begun."""
        self._connection = connection
        self._place = place
        self._streams = streams
        self._output_limit = output_limit
        self._control = control
        self._lock = threading.Lock()
        self._killed: threading.Thread | None = None
        self._kill_confirmed = False
        self._last_call = float("inf")
        if control is not None:
            control.attach(self.wish)

    @property
    def confirmed(self) -> bool:
        """The target said that the command has ended."""
        return self.done or self._kill_confirmed

    def wish(self) -> None:
        """Look at the control's wishes now. Safe from any thread."""
        if self._control is None or self.done:
            return
        if self._control.cancelled:
            self.stop("cancelled")
        elif self._control.expired:
            self.stop("timed_out")

    def stop(self, how: How) -> None:
        """Have the command ended, over a protocol object of its own: this one may be waiting for output."""
        with self._lock:
            if self._killed is not None or self.done:
                return
            self.stopped = how
            self._last_call = after(GRACE)
            self._killed = threading.Thread(target=self._kill, name="end-command", daemon=True)
            self._killed.start()

    def _kill(self) -> None:
        try:
            second = self._connection.second()
        except LibraryError:
            return
        try:
            second.signal(self._place.shell_id, self._place.command_id)
            self._kill_confirmed = True
        except Fault as fault:
            self._kill_confirmed = fault.number in SHELL_GONE | {ABORTED}
        except (LibraryError, NothingYet):
            return
        finally:
            second.hang_up()

    def upload(self, data: bytes) -> None:
        """Hand over all of the command's input. Raises errors whose `sent` is False before the last piece."""
        self.upload_pieces(data[start : start + SEND_PIECE] for start in range(0, len(data), SEND_PIECE))

    def upload_pieces(self, pieces: Iterable[bytes]) -> None:
        """The same, from pieces of SEND_PIECE bytes at most that are taken one by one."""
        for piece, last in _with_last(pieces):
            if self._killed is not None:
                return
            self.uploaded = last
            try:
                self._connection.wsman.send(self._place.shell_id, self._place.command_id, piece, end=last)
            except Fault as fault:
                if self._killed is None:
                    raise explain(fault, sent=False) from None
            except LibraryError as error:
                error.sent = last
                if not last:
                    raise
                self._send_again(piece)

    def _send_again(self, piece: bytes) -> None:
        """The last of the input, whose answer was lost, once more to the same command.

        It is one process, which reads its input once and checks its length and hash: twice the same piece
        can at worst keep it from starting. Whether it began shows by what it says.
        """
        self._connection.reconnect()
        try:
            self._connection.wsman.send(self._place.shell_id, self._place.command_id, piece, end=True)
        except Fault:
            return  # its input was closed by the first
        except LibraryError:
            self._connection.reconnect()

    def until_end(self, *, timeout: float | None, deadline: float) -> None:
        """Read until the command is done.

        After `timeout` seconds it is ended; `deadline` bounds the reading. Raises `ConnectionLost`,
        `ShellLost`, `CommandTimeout` and what a login raises.
        """
        stop_at = float("inf") if timeout is None else after(timeout)
        message_id = new_id()
        losses = 0
        while not self.done:
            limit = min(stop_at if self.stopped == "ended" else self._last_call, deadline)
            if not remaining(limit):
                if self.stopped != "ended":
                    break
                if limit == deadline:
                    raise CommandTimeout("The target did not tell the end in time")
                self.stop("timed_out")
                continue
            try:
                self._receive(message_id, limit)
            except _Interrupted as interrupted:
                if losses == len(REATTACH) or self._kill_confirmed or self._connection.was_cut:
                    self._give_up(interrupted.error)
                    break
                self._pause(REATTACH[losses], limit)
                losses += 1
            else:
                message_id = new_id()
                losses = 0
        if self._killed is not None:
            self._killed.join(GRACE)

    def _receive(self, message_id: str, limit: float) -> None:
        seconds = max(1.0, min(POLL, remaining(limit)))
        try:
            received = self._connection.wsman.receive(
                self._place.shell_id, self._place.command_id, seconds=seconds, message_id=message_id
            )
        except NothingYet:
            return
        except Fault as fault:
            self._refused(fault)
        except LibraryError as error:
            raise _Interrupted(error) from None
        else:
            self._take(received)

    def _take(self, received: Received) -> None:
        for stream, data in received.pieces:
            self._streams.feed(stream, data)
        if sum(self._streams.lengths.values()) > self._output_limit and not received.done:
            self._streams.muted = True
            self.stop("output_limit")
        if received.done:
            with self._lock:
                self.done = True
            self.exit_code = received.exit_code
            self._streams.finish()

    def _refused(self, fault: Fault) -> None:
        if self._killed is not None and fault.number in SHELL_GONE | {ABORTED}:
            self._kill_confirmed = True
            self.done = True
            self._streams.finish()
            return
        raise explain(fault, sent=self.uploaded) from None

    def _pause(self, seconds: float, limit: float) -> None:
        """Before reading on over a new connection: the old one's encryption is out of step."""
        self.incomplete = True
        self._connection.suspect = True
        self._connection.reconnect()
        time.sleep(min(seconds, remaining(limit)))

    def _give_up(self, error: LibraryError) -> None:
        if self.stopped == "ended":
            raise ConnectionLost(
                "The connection to the target was lost while the script ran",
                cause_hint=error.message,
                sent=self.uploaded,
            ) from None


def _with_last(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each piece, and whether it is the last."""
    waiting: bytes | None = None
    for piece in pieces:
        if waiting is not None:
            yield waiting, False
        waiting = piece
    if waiting is not None:
        yield waiting, True


class _Interrupted(Exception):
    """A Receive got no answer; the same question may be asked again over another connection."""

    def __init__(self, error: LibraryError) -> None:
        super().__init__(error.code)
        self.error = error
