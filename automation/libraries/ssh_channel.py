"""One command on a target, as the rest of the project sees it."""

from __future__ import annotations

from paramiko.common import cMSG_CHANNEL_DATA, cMSG_CHANNEL_WINDOW_ADJUST
from paramiko.message import Message

from automation.libraries.deadlines import after, remaining
from automation.libraries.errors import CommandTimeout, ConnectionLost, ExecRefused, ExecTimeout
from automation.libraries.ssh_engine import EngineTransport
from automation.libraries.ssh_session import Session
from automation.libraries.types import Stream

HOUSEKEEPING = 5.0
"""Seconds that a small message of our own (window, end, close) may wait for room."""
NO_STATUS = -1
"""What paramiko holds when the target sent no exit status."""


class SSHChannel:
    """The `Channel` of SSH. Its memory is bounded: a target that writes faster than we read has to wait."""

    def __init__(self, transport: EngineTransport, session: Session) -> None:
        self._transport = transport
        self._session = session

    def execute(self, command: str, *, deadline: float) -> None:
        """Have the target start the command.

        Raises `ExecRefused` (not started), `ExecTimeout` or `ConnectionLost` (it may have started).
        """
        session = self._session
        try:
            self._transport.send_by(session.exec_request(command), deadline=deadline)
        except TimeoutError:
            raise ExecTimeout("The command could not be sent in time", sent=False) from None
        if not session.event.wait(remaining(deadline)):
            raise ExecTimeout("The target did not say in time whether it started the command")
        if session.event_ready:
            return
        if session.ended_by_target:
            raise ExecRefused("The target refused to run a command")
        raise ConnectionLost("The connection ended before the target said whether it started the command")

    def send(self, data: bytes, *, deadline: float) -> None:
        """Hand all of `data` to the command's input.

        What a command that has ended does not take is dropped: `ended` and `exit_status` tell of it.
        Raises `ConnectionLost`, or `CommandTimeout` when the target did not take it in time.
        """
        rest = memoryview(data)
        try:
            while rest:
                size = self._session.claim_window(len(rest), deadline=deadline)
                if not size:
                    if self.lost:
                        raise ConnectionLost("The connection ended while sending to the command")
                    return
                self._transport.send_by(self._data(bytes(rest[:size])), deadline=deadline)
                rest = rest[size:]
        except TimeoutError:
            raise CommandTimeout("The target did not take the command's input in time") from None
        except ConnectionLost as fault:
            fault.sent = True  # earlier pieces may have arrived
            raise

    def _data(self, data: bytes) -> Message:
        message = Message()
        message.add_byte(cMSG_CHANNEL_DATA)
        message.add_int(self._session.remote_chanid)
        message.add_string(data)
        return message

    def send_eof(self) -> None:
        """Close the command's input. Says nothing of a connection that is lost: reading will."""
        self._housekeeping(self._session.eof_messages())

    def wait(self, *, deadline: float) -> bool:
        """Wait for output, the end or `wake()`; False says that the deadline passed first."""
        return self._session.wait_for_news(deadline=deadline)

    def wake(self) -> None:
        """End the present or the next `wait` now. Safe from any thread, at any time."""
        self._session.wake()

    def read(self, stream: Stream) -> bytes:
        """What has come on this stream and was not read yet, at most 64 KiB; empty when there is nothing."""
        data = self._session.take(stream)
        if data:
            credit = self._session._check_add_window(len(data))
            if credit:
                self._housekeeping([self._window(credit)])
        return data

    def _window(self, credit: int) -> Message:
        message = Message()
        message.add_byte(cMSG_CHANNEL_WINDOW_ADJUST)
        message.add_int(self._session.remote_chanid)
        message.add_int(credit)
        return message

    @property
    def ended(self) -> bool:
        """The channel is closed, by whatever cause, and everything that came was read."""
        return self._session.drained

    @property
    def lost(self) -> bool:
        """The channel is closed because the connection ended: neither the target nor we closed it."""
        session = self._session
        return session.closed and not session.ended_by_target and not session.ended_here

    @property
    def exit_status(self) -> int | None:
        """The command's exit status; None when the target sent none (lost, or ended by a signal)."""
        status = self._session.exit_status
        return None if status == NO_STATUS else status

    def close(self) -> None:
        """Give the channel up. Safe to repeat."""
        self._housekeeping(self._session.end_messages())
        self._session.wake()

    def _housekeeping(self, messages: list[Message]) -> None:
        deadline = after(HOUSEKEEPING)
        try:
            for message in messages:
                self._transport.send_by(message, deadline=deadline)
        except (ConnectionLost, TimeoutError):
            # A connection that takes nothing in this time has ended or is about to be found lost.
            return
