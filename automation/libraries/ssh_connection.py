"""Reaching a target over SSH: each phase with its own deadline and its own errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import paramiko

from automation.libraries.deadlines import Deadlines, after, remaining
from automation.libraries.errors import (
    ChannelRefused,
    ChannelTimeout,
    ExecTimeout,
    KeyExchangeTimeout,
    LibraryError,
    NoCommonAlgorithm,
    ProtocolFault,
)
from automation.libraries.host_identity import accepted_algorithms, key_line, verify
from automation.libraries.reads import Reads
from automation.libraries.resolution import resolve
from automation.libraries.ssh_channel import SSHChannel
from automation.libraries.ssh_engine import GREETING, EngineTransport
from automation.libraries.ssh_keys import check_certificate, load_private_key
from automation.libraries.ssh_login import KeyLoader, log_in
from automation.libraries.ssh_session import Session
from automation.libraries.ssh_tunnel import Tunnel
from automation.libraries.types import Credentials, Endpoint, Hop
from automation.libraries.wire import Line, dial, exchange_greetings

Phase = Literal[
    "bastion", "resolve", "tcp", "banner", "identity", "login", "shell", "sudo", "spool", "detaching"
]
OnPhase = Callable[[Phase], None]
"""Told when a phase begins."""
CLOSING_SECONDS = 5.0
"""For how long one more channel is asked for on a connection that had others."""
CLOSING_PAUSE = 0.05


class SSHConnection:
    """The `Connection` of SSH: a login on a target whose identity was verified."""

    def __init__(
        self,
        transport: EngineTransport,
        endpoint: Endpoint,
        limits: Deadlines,
        *,
        release: Callable[[], None] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.suspect = False
        """A channel of this connection was given up: better not used for further work."""
        self.reads = Reads(self)
        """The way for scripts that only read; it ends when another channel is opened."""
        self._transport = transport
        self._limits = limits
        self._release = release
        self._had_channels = False

    def open_channel(self, command: str, *, deadline: float) -> SSHChannel:
        """Start `command` in the login's shell.

        Raises `ChannelRefused`, `ChannelTimeout`, `ExecRefused` (nothing was started), or `ExecTimeout`,
        `ConnectionLost`, whose `sent` says whether the command may have been started.
        """
        self.reads.end()
        try:
            session = self._session(min(deadline, after(self._limits.channel)))
            self._had_channels = True
            channel = SSHChannel(self._transport, session)
            channel.execute(command, deadline=min(deadline, after(self._limits.exec_answer)))
        except (ChannelTimeout, ExecTimeout):
            self.suspect = True
            raise
        return channel

    def _session(self, deadline: float) -> Session:
        # sshd counts a channel that we closed against MaxSessions until its process is gone, so one more may
        # be refused for a moment only. Nothing was started: asking again is safe.
        patience = min(deadline, after(CLOSING_SECONDS)) if self._had_channels else 0.0
        while True:
            try:
                return self._transport.start_session(deadline=deadline)
            except ChannelRefused:
                if not remaining(patience):
                    raise
            time.sleep(CLOSING_PAUSE)

    def open_tunnel(self, host: str, port: int, *, deadline: float) -> Tunnel:
        """A line to another machine that this one connects to.

        Raises `BastionRefused`, `BastionUnreached` or `ConnectionLost`.
        """
        session = self._transport.start_tunnel(host, port, deadline=deadline)
        return Tunnel(self._transport, session, self._limits)

    @property
    def host_key(self) -> str:
        """The key by which the target proved its identity, as an `Endpoint` holds it."""
        key_type, blob, _ = self._transport.shown_key()
        return key_line(key_type, blob)

    @property
    def algorithms(self) -> dict[str, str]:
        """What was agreed on: `host_key`, `cipher`."""
        return {"host_key": self._transport.host_key_type or "", "cipher": self._transport.remote_cipher}

    @property
    def alive(self) -> bool:
        """Whether the connection is up as far as this end can know."""
        return self._transport.is_active()

    def ping(self, *, deadline: float) -> bool:
        """Ask the target for a sign of life: one round trip."""
        return self._transport.ping(deadline=deadline)

    def close(self) -> None:
        """Log out. Safe to repeat; running channels end with `ConnectionLost`."""
        self._transport.hang_up()
        release, self._release = self._release, None
        if release is not None:
            release()

    def cut(self) -> None:
        """The same, from another thread than the one that works with it."""
        self.close()


class Carrier(Protocol):
    """A login on a bastion, lent for one tunnel."""

    @property
    def connection(self) -> SSHConnection: ...

    def release(self) -> None:
        """Nothing of ours goes through it any more."""


Carry = Callable[[Hop], Carrier]
"""Finds or makes the login on a bastion."""


@dataclass(frozen=True, slots=True)
class OwnCarrier:
    """A login on a bastion that nobody else uses."""

    connection: SSHConnection

    def release(self) -> None:
        self.connection.close()


def connect(
    endpoint: Endpoint,
    credentials: Credentials,
    *,
    limits: Deadlines | None = None,
    load_key: KeyLoader = load_private_key,
    on_phase: OnPhase | None = None,
    carry: Carry | None = None,
) -> SSHConnection:
    """A verified login, or one of the errors of resolving, connecting, greeting, identity and login.

    No secret is used before the target has proved its identity, and the same holds for each bastion on the
    way. `carry` finds the login on the endpoint's bastion; without it one is made, and ended with this
    connection. An error that happened at a bastion names it as `hop`. On any error nothing is left behind:
    no socket, no thread.
    """
    limits = limits or Deadlines()
    begin = on_phase or _ignore
    check_certificate(credentials)
    approach = Approach(endpoint, limits, carry=carry or carry_alone(limits, load_key), on_phase=begin)
    try:
        transport = approach.show_host_key(_algorithms_for(endpoint))
        key_type, blob, certificate = transport.shown_key()
        verify(endpoint, key_type, blob, certificate=certificate)
        begin("login")
        log_in(transport, credentials, load_key=load_key, deadline=after(limits.login))
    except BaseException:
        approach.give_up()
        raise
    return SSHConnection(transport, endpoint, limits, release=approach.release)


class Approach:
    """The way to a target as far as the host key that it shows, before anything is believed or sent."""

    def __init__(
        self, endpoint: Endpoint, limits: Deadlines, *, carry: Carry, on_phase: OnPhase | None = None
    ) -> None:
        self._endpoint = endpoint
        self._limits = limits
        self._carry = carry
        self._begin = on_phase or _ignore
        self._carrier: Carrier | None = None
        self._line: Line | None = None
        self._transport: EngineTransport | None = None

    def show_host_key(self, algorithms: tuple[str, ...]) -> EngineTransport:
        """The transport after the key exchange; the first of `algorithms` that the target has was used."""
        line = self._line = self._reach()
        self._begin("banner")
        exchange_greetings(line, f"{GREETING}\r\n".encode(), deadline=after(self._limits.banner))
        self._begin("identity")
        transport = self._transport = EngineTransport(line, self._limits, algorithms)
        _exchange_keys(transport, deadline=after(self._limits.key_exchange))
        return transport

    def give_up(self) -> None:
        """Leave nothing behind."""
        if self._transport is not None:
            self._transport.hang_up()
        if self._line is not None:
            self._line.close()
        self.release()

    def release(self) -> None:
        """Nothing goes through the bastion any more."""
        carrier, self._carrier = self._carrier, None
        if carrier is not None:
            carrier.release()

    def _reach(self) -> Line:
        host, port, limits = self._endpoint.host, self._endpoint.port, self._limits
        hop = self._endpoint.via
        if hop is None:
            self._begin("resolve")
            addresses = resolve(host, port, deadline=after(limits.resolve))
            self._begin("tcp")
            return dial(addresses, limits, deadline=after(limits.tcp))
        self._begin("bastion")
        carrier = self._carrier = self._carry(hop)
        self._begin("tcp")  # the bastion looks up the name, so there is no phase for that
        try:
            return carrier.connection.open_tunnel(host, port, deadline=after(limits.channel))
        except LibraryError as error:
            raise error.at(hop.name) from None


def carry_alone(limits: Deadlines, load_key: KeyLoader = load_private_key) -> Carry:
    """Logins on bastions that serve one connection only."""

    def log_in_there(hop: Hop) -> OwnCarrier:
        try:
            return OwnCarrier(connect(hop.endpoint, hop.credentials, limits=limits, load_key=load_key))
        except LibraryError as error:
            raise error.at(hop.name) from None

    return log_in_there


def _algorithms_for(endpoint: Endpoint) -> tuple[str, ...]:
    return accepted_algorithms(endpoint.host_keys, certificates=bool(endpoint.authorities))


def _ignore(phase: Phase) -> None:
    """Nobody wants to know."""


def _exchange_keys(transport: EngineTransport, *, deadline: float) -> None:
    done = threading.Event()
    transport.start_client(event=done)
    if not done.wait(remaining(deadline)):
        raise KeyExchangeTimeout("The target did not finish the key exchange in time")
    if not transport.is_active():
        raise _exchange_fault(transport.fault())


def _exchange_fault(fault: Exception | None) -> LibraryError:
    if isinstance(fault, paramiko.ssh_exception.IncompatiblePeer):
        return NoCommonAlgorithm(
            "The target shares no accepted algorithm with us", cause_hint=str(fault)[:200]
        )
    if fault is None or isinstance(fault, EOFError | ConnectionError):
        return ProtocolFault("The target closed the connection during the key exchange")
    # Its text may hold words of the target, so only the kind is named.
    return ProtocolFault(
        "The target broke the SSH protocol during the key exchange", cause_hint=type(fault).__name__
    )
