"""The way to a target behind a bastion: a channel of the bastion's connection, used like a socket."""

from __future__ import annotations

import errno
import os
import time

from paramiko.common import cMSG_CHANNEL_DATA
from paramiko.message import Message

from automation.libraries.deadlines import Deadlines, after, remaining
from automation.libraries.errors import ConnectionLost
from automation.libraries.ssh_channel import SSHChannel
from automation.libraries.ssh_engine import EngineTransport
from automation.libraries.ssh_session import Session
from automation.libraries.wire import LARGEST_PACKET


class Tunnel:
    """A `Line` through a bastion. One thread reads, others may write; memory is bounded by the window."""

    def __init__(self, transport: EngineTransport, session: Session, limits: Deadlines) -> None:
        self.unanswered = 0
        self._transport = transport
        self._session = session
        self._channel = SSHChannel(transport, session)
        self._silence = limits.silence
        self._timeout = limits.keepalive
        self._early = b""
        self._greeting = b""
        self._stalled_since = 0.0
        self._cut = False

    def settimeout(self, value: float | None, /) -> None:
        self._timeout = self._silence if value is None else value

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        del flags
        if size > LARGEST_PACKET:
            raise OSError(errno.EMSGSIZE, "the target announced a packet that is too large")
        if not self._early:
            self._early = self._next()
            self.unanswered = 0
        data, self._early = self._early[:size], self._early[size:]
        return data

    def _next(self) -> bytes:
        """What comes next; empty at the end. Raises TimeoutError."""
        deadline = after(self._timeout)
        while not (data := self._channel.read("stdout")):
            if self._cut or self._channel.ended:
                return b""
            if not self._channel.wait(deadline=deadline):
                raise TimeoutError
        return data

    def send(self, data: bytes, flags: int = 0, /) -> int:
        del flags
        if self._greeting == data:
            self._greeting = b""
            return len(data)
        try:
            size = self._session.claim_window(len(data), deadline=after(self._timeout))
        except TimeoutError:
            self._give_up_if_stalled()
            raise
        self._stalled_since = 0.0
        if not size or self._cut:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        self._forward(data[:size])
        return size

    def _forward(self, data: bytes) -> None:
        message = Message()
        message.add_byte(cMSG_CHANNEL_DATA)
        message.add_int(self._session.remote_chanid)
        message.add_string(data)
        try:
            self._transport.send_by(message, deadline=after(self._silence))
        except (ConnectionLost, TimeoutError):
            # The claimed window is gone, so what follows would not fit: there is no going on after this.
            self.cut()
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)) from None

    def _give_up_if_stalled(self) -> None:
        """A writer tries again for ever, so the line itself ends when nothing more is taken."""
        now = time.monotonic()
        if not self._stalled_since:
            self._stalled_since = now
        elif now - self._stalled_since >= self._silence:
            self.cut()
            raise ConnectionResetError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))

    def wait_writable(self, *, deadline: float) -> bool:
        """Wait until there is room for more; False when the deadline passed first."""
        session = self._session
        with session.lock:
            while not (session.out_window_size or session.closed or session.eof_sent):
                left = remaining(deadline)
                if not left:
                    return False
                session.out_buffer_cv.wait(left)
        return True

    def greet(self, own: bytes) -> None:
        """Send our greeting now. The SSH engine's own sending of the same line later is swallowed."""
        self.settimeout(1.0)
        self.send(own)
        self._greeting = own

    def give_back(self, data: bytes) -> None:
        """Have the next reader see this first."""
        self._early = data + self._early

    def cut(self) -> None:
        """End both directions at once: whoever reads or writes wakes up."""
        self._cut = True
        self._channel.close()

    def close(self) -> None:
        """Give the line up. Safe to repeat."""
        self.cut()
