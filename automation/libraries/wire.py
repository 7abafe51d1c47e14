"""The socket under an SSH connection: reaching one of a target's addresses, and the exchange of greetings."""

from __future__ import annotations

import errno
import os
import select
import selectors
import socket
import time
from collections.abc import Sequence
from typing import Protocol

from automation.libraries.deadlines import Deadlines, remaining
from automation.libraries.errors import (
    BannerTimeout,
    ConnectRefused,
    ConnectTimeout,
    ConnectUnreachable,
    LibraryError,
    NoCommonAlgorithm,
    NotSSH,
    ProtocolFault,
)
from automation.libraries.resolution import Address

LARGEST_PACKET = 256 * 1024
"""No SSH packet is read that claims more bytes; ours and OpenSSH's hold 32 KiB of data."""
LARGEST_GREETING = 16 * 1024
"""Bytes of greeting, RFC 4253's lines before the version included, after which it cannot be SSH."""
STAGGER = 0.25
"""Seconds between starting to try one address and the next (RFC 8305)."""


class Line(Protocol):
    """What an SSH connection runs over: a `Wire`, or a tunnel through another SSH connection.

    `unanswered` counts the questions for a sign of life since the last byte came.
    """

    unanswered: int

    def recv(self, size: int, flags: int = 0, /) -> bytes: ...
    def send(self, data: bytes, flags: int = 0, /) -> int: ...
    def settimeout(self, value: float | None, /) -> None: ...
    def wait_writable(self, *, deadline: float) -> bool: ...
    def greet(self, own: bytes) -> None: ...
    def give_back(self, data: bytes) -> None: ...
    def cut(self) -> None: ...
    def close(self) -> None: ...


class Wire(socket.socket):
    """A TCP socket made for SSH: no waiting for small packets in either direction, and no endless ones.

    `unanswered` counts the questions for a sign of life since the last byte came.
    """

    def __init__(self, family: socket.AddressFamily, limits: Deadlines) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self.unanswered = 0
        self._silence = limits.silence
        self._early = b""
        self._greeting = b""
        self._stalled_since = 0.0
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _kernel_watch(limits):
            self.setsockopt(socket.IPPROTO_TCP, name, value)

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        if self._early:
            data, self._early = self._early[:size], self._early[size:]
            return data
        if size > LARGEST_PACKET:
            raise OSError(errno.EMSGSIZE, "the target announced a packet that is too large")
        if QUICK_ACK is not None:
            # sshd holds its next small packet back until we acknowledge the last one, and the kernel
            # would let it wait 40 ms for that. The option wears off, so it is set each time.
            self.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)
        data = super().recv(size, flags)
        self.unanswered = 0
        return data

    def send(self, data: bytes, flags: int = 0, /) -> int:  # type: ignore[override]  # we send bytes only
        if self._greeting == data:
            self._greeting = b""
            return len(data)
        try:
            sent = super().send(data, flags)
        except TimeoutError:
            self._give_up_if_stalled()
            raise
        self._stalled_since = 0.0
        return sent

    def _give_up_if_stalled(self) -> None:
        """A writer tries again for ever, so the socket itself ends a connection that takes nothing more."""
        now = time.monotonic()
        if not self._stalled_since:
            self._stalled_since = now
        elif now - self._stalled_since >= self._silence:
            self.cut()
            raise ConnectionResetError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))

    def wait_writable(self, *, deadline: float) -> bool:
        """Wait until the kernel takes more data; False when the deadline passed first."""
        poll = select.poll()
        try:
            poll.register(self.fileno(), select.POLLOUT)
        except ValueError:
            return True  # closed: the write itself will say so
        return bool(poll.poll(remaining(deadline) * 1000))

    def greet(self, own: bytes) -> None:
        """Send our greeting now. The SSH engine's own sending of the same line later is swallowed."""
        self.settimeout(1.0)
        super().send(own)
        self._greeting = own

    def give_back(self, data: bytes) -> None:
        """Have the next reader see this first."""
        self._early = data

    def cut(self) -> None:
        """End both directions at once: whoever reads or writes wakes up. The socket itself stays open."""
        try:
            self.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it was not connected any more


QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)


def _kernel_watch(limits: Deadlines) -> list[tuple[int, int]]:
    """The kernel's own watch over a silent peer, where it has one: it costs us no thread and no packet."""
    wanted = {
        "TCP_KEEPIDLE": max(1, round(limits.keepalive)),
        "TCP_KEEPINTVL": max(1, round(limits.keepalive)),
        "TCP_KEEPCNT": limits.keepalives_unanswered,
        "TCP_USER_TIMEOUT": max(1, round(limits.silence * 1000)),
    }
    return [(getattr(socket, name), value) for name, value in wanted.items() if hasattr(socket, name)]


def dial(addresses: Sequence[Address], limits: Deadlines, *, deadline: float) -> Wire:
    """A connected socket to the first address that answers; a slow one does not hold up the next.

    Raises `ConnectTimeout`, `ConnectRefused` or `ConnectUnreachable`.
    """
    with selectors.PollSelector() as selector:
        return _Dial(addresses, limits, selector).until(deadline)


class _Dial:
    def __init__(
        self, addresses: Sequence[Address], limits: Deadlines, selector: selectors.PollSelector
    ) -> None:
        self._waiting = list(addresses)
        self._limits = limits
        self._selector = selector
        self._trying: dict[Wire, Address] = {}
        self._faults: dict[Address, int] = {}

    def until(self, deadline: float) -> Wire:
        winner: Wire | None = None
        try:
            while winner is None:
                self._try_next()
                if not self._trying and not self._waiting:
                    raise self._verdict()
                if not remaining(deadline):
                    raise ConnectTimeout(f"No answer from {self._tried()} in time")
                winner = self._wait(min(remaining(deadline), STAGGER if self._waiting else 60.0))
        finally:
            for wire in self._trying:
                if wire is not winner:
                    wire.close()
        return winner

    def _try_next(self) -> None:
        if not self._waiting:
            return
        address = self._waiting.pop(0)
        try:
            wire = Wire(address.family, self._limits)
        except OSError as fault:
            self._faults[address] = fault.errno or errno.EIO
            return
        self._trying[wire] = address
        wire.settimeout(0.0)
        fault_number = wire.connect_ex(address.sockaddr)
        if fault_number in (0, errno.EINPROGRESS):
            self._selector.register(wire, selectors.EVENT_WRITE)
        else:
            self._failed(wire, fault_number)

    def _wait(self, seconds: float) -> Wire | None:
        if not self._trying:
            return None
        for key, _ in self._selector.select(seconds):
            wire = key.fileobj
            assert isinstance(wire, Wire)  # noqa: S101 - only wires are registered
            self._selector.unregister(wire)
            fault_number = wire.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not fault_number:
                return wire
            self._failed(wire, fault_number)
        return None

    def _failed(self, wire: Wire, fault_number: int) -> None:
        self._faults[self._trying.pop(wire)] = fault_number
        wire.close()

    def _tried(self) -> str:
        return ", ".join(str(address) for address in (*self._faults, *self._trying.values()))

    def _verdict(self) -> LibraryError:
        faults = set(self._faults.values())
        if errno.ECONNREFUSED in faults:
            return ConnectRefused(f"{self._tried()} refused the connection")
        if errno.ETIMEDOUT in faults:
            return ConnectTimeout(f"No answer from {self._tried()}")
        hint = "; ".join(os.strerror(fault) for fault in sorted(faults))
        return ConnectUnreachable(f"{self._tried()} cannot be reached from here", cause_hint=hint)


def exchange_greetings(wire: Line, own: bytes, *, deadline: float) -> str:
    """Send our version line, wait for the target's, and leave the latter to the SSH engine.

    Raises `BannerTimeout`, `NotSSH`, `NoCommonAlgorithm` (SSH 1) or `ProtocolFault`.
    """
    got = b""
    try:
        wire.greet(own)
        while True:
            line_start = _version_line(got)
            if line_start is not None:
                break
            if not remaining(deadline):
                raise _silent(got)
            wire.settimeout(remaining(deadline) or 0.001)
            try:
                more = wire.recv(4096)
            except TimeoutError:
                raise _silent(got) from None
            if not more:
                raise _hung_up(got)
            got += more
    except (ConnectionError, BrokenPipeError):
        raise _hung_up(got) from None
    wire.give_back(got[line_start:])
    version = got[line_start:].partition(b"\n")[0].strip().decode("ascii", "replace")
    if not version.startswith(("SSH-2.0-", "SSH-1.99-")):
        raise NoCommonAlgorithm(f"The target speaks only {version[:40]}")
    return version


def _version_line(got: bytes) -> int | None:
    """Where the complete version line starts; None while it has not come. Raises `NotSSH`."""
    start = 0 if got.startswith(b"SSH-") else got.find(b"\nSSH-") + 1
    found = got.startswith(b"SSH-", start)
    if found and b"\n" in got[start:]:
        return start
    if len(got) > LARGEST_GREETING or (not found and got.startswith((b"HTTP/", b"\x15\x03", b"\x16\x03"))):
        raise _not_ssh(got)
    return None


def _silent(got: bytes) -> LibraryError:
    if b"\n" in got:
        return _not_ssh(got)
    return BannerTimeout("The port is open, but no complete SSH greeting came in time")


def _hung_up(got: bytes) -> LibraryError:
    if got and not b"SSH-".startswith(got[:4]):
        return _not_ssh(got)
    return ProtocolFault("The target closed the connection before its SSH greeting")


def _not_ssh(got: bytes) -> NotSSH:
    """Names the beginning of what came, printable, so that a person recognises the service."""
    start = ascii(got[:60].decode("latin-1"))
    return NotSSH("Something else than SSH answers on this port", cause_hint=f"It begins with {start}")
