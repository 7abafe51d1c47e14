"""paramiko, tuned and bounded: which algorithms, how silence is noticed, and a transport whose every wait
ends at the caller's deadline.

paramiko's own waits poll ten times a second, follow the wall clock, or have no limit at all. The few of its
internals that are used instead are declared where they are used, and a test checks that they are there.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

import paramiko
from paramiko.common import (
    MSG_CHANNEL_OPEN_FAILURE,
    MSG_CHANNEL_OPEN_SUCCESS,
    cMSG_CHANNEL_OPEN,
    cMSG_GLOBAL_REQUEST,
)
from paramiko.message import Message
from paramiko.packet import Packetizer
from paramiko.transport import ChannelMap

from automation.libraries.deadlines import Deadlines, remaining
from automation.libraries.errors import (
    BastionRefused,
    BastionUnreached,
    ChannelRefused,
    ChannelTimeout,
    ConnectionLost,
)
from automation.libraries.ssh_session import Session
from automation.libraries.wire import Line

GREETING = "SSH-2.0-OpsPortal"

KEY_EXCHANGES = (
    "mlkem768x25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    # For old servers only: ten to twenty times the CPU of curve25519. Group exchange, as dear and with
    # parameters of the server's choosing, is off.
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group16-sha512",
)
CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
WINDOW = 2 * 1024 * 1024
"""Bytes of output that may be under way or unread on one channel: fast on a LAN, and the bound on memory."""
PACKET = 32 * 1024

PARAMIKO_LOG = "automation.libraries.paramiko"
# paramiko logs tracebacks of each fault as errors; ours are raised, once, as the family of errors.
logging.getLogger(PARAMIKO_LOG).setLevel(logging.CRITICAL)


CONNECT_FAILED = 2
"""SSH_OPEN_CONNECT_FAILED of RFC 4254."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a channel was not opened, in the server's words."""

    reason: int
    said: str

    @property
    def cause(self) -> str:
        printable = "".join(letter if letter.isprintable() else "?" for letter in self.said[:200])
        return f"It said: {printable.rstrip('.')}" if printable else ""


class QuietPacketizer(Packetizer):
    def start_handshake(self, timeout: float) -> None:
        """Start no timer: it would be a thread for each connection, left behind by each one that fails."""


class EngineTransport(paramiko.Transport):
    """A paramiko transport over a `Wire` that has exchanged greetings."""

    # paramiko's own, which its type stubs leave out.
    _channels: ChannelMap
    _next_channel: Callable[[], int]
    _send_message: Callable[[Message], None]
    _handler_table: dict[int, Callable[[Message], None]]
    _parse_channel_open_failure: Callable[[Message], None]
    _parse_channel_open_success: Callable[[Message], None]
    # paramiko's table names the functions of its own class, so that overriding them would go unnoticed.
    _channel_handler_table = {  # noqa: RUF012 - as in the base
        kind: getattr(Session, handler.__name__)
        for kind, handler in paramiko.Transport._channel_handler_table.items()  # type: ignore[attr-defined]
    }

    remote_cipher: str

    def __init__(self, wire: Line, limits: Deadlines, host_algorithms: tuple[str, ...]) -> None:
        # Before paramiko's own constructor, which asks for them.
        self._host_algorithms = host_algorithms
        self._refusals: dict[int, Refusal] = {}
        self._given_up: dict[int, Session] = {}
        super().__init__(
            wire,  # type: ignore[arg-type]  # the stubs want a whole socket; it is read, written, closed
            default_window_size=WINDOW,
            default_max_packet_size=PACKET,
            packetizer_class=QuietPacketizer,
        )
        self.wire = wire
        self._limits = limits
        self.local_version = GREETING
        self.set_log_channel(PARAMIKO_LOG)
        options = self.get_security_options()
        options.kex = [name for name in KEY_EXCHANGES if name in options.kex]
        options.ciphers = list(CIPHERS)
        options.digests = list(MACS)
        self._handler_table[MSG_CHANNEL_OPEN_FAILURE] = self._channel_refused
        self._handler_table[MSG_CHANNEL_OPEN_SUCCESS] = self._channel_opened
        # The reader thread wakes when the socket times out. paramiko's default is ten times a second for
        # each idle connection; a sign of life is looked for no more often than this.
        wire.settimeout(limits.keepalive)
        self.packetizer.set_keepalive(limits.keepalive / 2, self._look_for_life)

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """The host key algorithms to ask for. paramiko would add certificates that nobody checks."""
        return self._host_algorithms

    def shown_key(self) -> tuple[str, bytes, bytes]:
        """Type and bytes of the host key that was shown, and the certificate around it, if there was one."""
        key = self.get_remote_server_key()
        around = key.public_blob.key_blob if key.public_blob is not None else b""
        return key.get_name(), key.asbytes(), around

    def _channel_refused(self, message: Message) -> None:
        """In the reader thread. paramiko keeps only the last refusal of a connection; many may be awaited."""
        start = message.packet.tell()
        number, reason, said = message.get_int(), message.get_int(), message.get_text()
        if self._given_up.pop(number, None) is None:
            self._refusals[number] = Refusal(reason, said)
        message.packet.seek(start)
        self._parse_channel_open_failure(message)

    def _channel_opened(self, message: Message) -> None:
        """In the reader thread. What was opened after we had given up is closed again."""
        start = message.packet.tell()
        number = message.get_int()
        message.packet.seek(start)
        self._parse_channel_open_success(message)
        late = self._given_up.pop(number, None)
        if late is not None and self.clear_to_send.is_set():
            for end in late.end_messages():
                self._send_message(end)

    def fault(self) -> Exception | None:
        """What ended the transport or the last request, once."""
        return self.get_exception()

    def _look_for_life(self) -> None:
        """In the reader thread, after `keepalive` seconds of silence: ask, or give up and raise."""
        if not len(self._channels):
            return
        if self.wire.unanswered >= self._limits.keepalives_unanswered:
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        self.wire.unanswered += 1
        if self.clear_to_send.is_set():
            self._send_message(_sign_of_life())

    def ping(self, *, deadline: float) -> bool:
        """Whether the target answers before the deadline. An answer to any question proves that."""
        answered = threading.Event()
        self.completion_event = answered
        try:
            self.send_by(_sign_of_life(), deadline=deadline)
        except (ConnectionLost, TimeoutError):
            return False
        return answered.wait(remaining(deadline)) and self.is_active()

    def send_by(self, message: Message, *, deadline: float) -> None:
        """Send one message, waiting for a running key exchange and for room in the socket.

        Raises `TimeoutError` when the deadline passes first (nothing was sent), or `ConnectionLost`, whose
        `sent` speaks of this message alone.
        """
        while True:
            if not self.clear_to_send.wait(remaining(deadline)):
                raise TimeoutError
            if not self.is_active():
                raise ConnectionLost("The connection has ended", sent=False)
            if not self.wire.wait_writable(deadline=deadline):
                raise TimeoutError
            with self.clear_to_send_lock:
                if self.clear_to_send.is_set():
                    try:
                        self._send_message(message)
                    except (EOFError, OSError):
                        raise ConnectionLost("The connection ended while sending") from None
                    return

    def start_session(self, *, deadline: float) -> Session:
        """A channel for one command.

        Raises `ChannelRefused`, `ChannelTimeout` or `ConnectionLost`; nothing was started.
        """
        opened = self._open("session", b"", deadline=deadline)
        if isinstance(opened, Session):
            return opened
        raise ChannelRefused("The target refused to open a channel", cause_hint=opened.cause)

    def start_tunnel(self, host: str, port: int, *, deadline: float) -> Session:
        """A channel to another machine, whose name the target looks up and to which it connects.

        Raises `BastionRefused`, `BastionUnreached` or `ConnectionLost`.
        """
        request = Message()
        request.add_string(host)
        request.add_int(port)
        request.add_string("127.0.0.1")  # whence; a formality
        request.add_int(0)
        try:
            opened = self._open("direct-tcpip", request.asbytes(), deadline=deadline)
        except ChannelTimeout:
            raise BastionUnreached(f"It did not connect to {host}:{port} in time") from None
        if isinstance(opened, Session):
            return opened
        if opened.reason == CONNECT_FAILED:
            raise BastionUnreached(f"It could not connect to {host}:{port}", cause_hint=opened.cause)
        raise BastionRefused(f"It does not forward to {host}:{port}", cause_hint=opened.cause)

    def _open(self, kind: str, rest: bytes, *, deadline: float) -> Session | Refusal:
        with self.lock:
            number = self._next_channel()
            session = Session(number)
            answered = threading.Event()
            self._channels.put(number, session)
            self.channel_events[number] = answered
            self.channels_seen[number] = True
            session._set_transport(self)
            session._set_window(WINDOW, PACKET)
        try:
            self.send_by(_open_request(kind, number, rest), deadline=deadline)
            in_time = answered.wait(remaining(deadline))
        except (TimeoutError, ConnectionLost):
            in_time = False
        with self.lock:
            if session.active:
                return session
            if not in_time:
                self._given_up[number] = session  # paramiko itself holds channels weakly
            else:
                self._channels.delete(number)
                self.channel_events.pop(number, None)
        if not self.is_active():
            raise ConnectionLost("The connection ended while opening a channel", sent=False)
        if not in_time:
            raise ChannelTimeout("The target did not answer the request for a channel in time")
        return self._refusals.pop(number, Refusal(0, ""))

    def hang_up(self) -> None:
        """End the connection and its reader thread now. Safe to repeat, and from any thread."""
        # The reader sees the end of the socket, wakes everybody who waits, and closes it. Closing it under
        # the reader instead would leave the thread behind until its timeout.
        self.wire.cut()
        if self.is_alive() and threading.current_thread() is not self:
            self.join(1.0)
        self.close()
        self.wire.close()


def _open_request(kind: str, number: int, rest: bytes) -> Message:
    message = Message()
    message.add_byte(cMSG_CHANNEL_OPEN)
    message.add_string(kind)
    message.add_int(number)
    message.add_int(WINDOW)
    message.add_int(PACKET)
    message.add_bytes(rest)
    return message


def _sign_of_life() -> Message:
    """A request that every server must answer, if only by refusing it."""
    message = Message()
    message.add_byte(cMSG_GLOBAL_REQUEST)
    message.add_string("keepalive@openssh.com")
    message.add_boolean(b=True)
    return message
