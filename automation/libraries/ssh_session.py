"""paramiko's channel with one condition for everything that its reader may wait for, and bounded memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST
from paramiko.message import Message
from paramiko.ssh_exception import SSHException

from automation.libraries.deadlines import remaining
from automation.libraries.types import Stream

READ_SIZE = 64 * 1024


class Session(paramiko.Channel):
    """The reader thread fills it; one other thread empties it."""

    # paramiko's own, which its type stubs leave out.
    _close_internal: Callable[[], tuple[Message | None, Message | None]]
    _send_eof: Callable[[], Message | None]
    _event_pending: Callable[[], None]
    _set_transport: Callable[[paramiko.Transport], None]
    _set_window: Callable[[int, int], None]
    _check_add_window: Callable[[int], int]

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self._changed = threading.Condition()
        self._unread: dict[Stream, deque[bytearray]] = {"stdout": deque(), "stderr": deque()}
        self._unread_bytes = 0
        self._woken = False
        self.ended_by_target = False
        self.ended_here = False

    # Called by paramiko's reader thread

    def _feed(self, message: Message) -> None:
        self._take("stdout", message.get_binary())

    def _feed_extended(self, message: Message) -> None:
        message.get_int()  # its kind: stderr is the only one there is
        self._take("stderr", message.get_binary())

    def _take(self, stream: Stream, data: bytes) -> None:
        with self._changed:
            self._unread_bytes += len(data)
            if self._unread_bytes > self.in_window_size:
                # An honest server stops at the window; a hostile one would fill our memory.
                raise SSHException("the target sent more than the window allows")
            self._keep(self._unread[stream], data)
            self._changed.notify()

    def _keep(self, pieces: deque[bytearray], data: bytes) -> None:
        """Small packets share a piece: two million of one byte each must not be as many objects."""
        if pieces and len(pieces[-1]) + len(data) <= READ_SIZE:
            pieces[-1] += data
        elif data:
            pieces.append(bytearray(data))

    def _handle_close(self, message: Message) -> None:
        self.ended_by_target = True
        super()._handle_close(message)  # type: ignore[misc]  # the stubs leave it out

    def _request_failed(self, message: Message) -> None:
        self.ended_by_target = True
        super()._request_failed(message)  # type: ignore[misc]  # the stubs leave it out

    def _set_closed(self) -> None:
        super()._set_closed()  # type: ignore[misc]  # the stubs leave it out
        with self._changed:
            self._changed.notify()

    # Called by the thread that owns the channel

    def wait_for_news(self, *, deadline: float) -> bool:
        with self._changed:
            while not (self._unread_bytes or self.closed or self._woken):
                left = remaining(deadline)
                if not left:
                    return False
                self._changed.wait(left)
            self._woken = False
            return True

    def wake(self) -> None:
        with self._changed:
            self._woken = True
            self._changed.notify()

    def take(self, stream: Stream) -> bytes:
        with self._changed:
            pieces = self._unread[stream]
            if not pieces:
                return b""
            piece = pieces.popleft()
            if len(piece) > READ_SIZE:
                pieces.appendleft(piece[READ_SIZE:])
            data = bytes(piece[:READ_SIZE])
            self._unread_bytes -= len(data)
            return data

    @property
    def drained(self) -> bool:
        with self._changed:
            return self.closed and not self._unread_bytes

    def claim_window(self, wanted: int, *, deadline: float) -> int:
        """How many bytes may be sent now, once there is room; 0 when the command takes no more.

        Raises `TimeoutError` when no room came before the deadline.
        """
        with self.lock:
            while not (self.out_window_size or self.closed or self.eof_sent):
                left = remaining(deadline)
                if not left:
                    raise TimeoutError
                self.out_buffer_cv.wait(left)
            if self.closed or self.eof_sent:
                return 0
            # The packet's own header must fit too.
            size = min(wanted, self.out_window_size, self.out_max_packet_size - 64)
            self.out_window_size -= size
            return size

    def end_messages(self) -> list[Message]:
        """Mark the channel as closed here; what is to be sent for that."""
        with self.lock:
            self.ended_here = self.ended_here or not self.closed
            return [message for message in self._close_internal() if message is not None]

    def eof_messages(self) -> list[Message]:
        with self.lock:
            message = None if self.closed else self._send_eof()
            return [message] if message is not None else []

    def exec_request(self, command: str) -> Message:
        message = Message()
        message.add_byte(cMSG_CHANNEL_REQUEST)
        message.add_int(self.remote_chanid)
        message.add_string("exec")
        message.add_boolean(b=True)
        message.add_string(command)
        self._event_pending()
        return message
