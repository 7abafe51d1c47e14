"""Reaching a target over SSH: each phase with its own deadline and its own errors."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

import paramiko

from automation.libraries.deadlines import Deadlines, after, remaining
from automation.libraries.errors import (
    ChannelTimeout,
    ExecTimeout,
    KeyExchangeTimeout,
    LibraryError,
    NoCommonAlgorithm,
    ProtocolFault,
)
from automation.libraries.host_identity import key_line, verify
from automation.libraries.resolution import resolve
from automation.libraries.ssh_channel import SSHChannel
from automation.libraries.ssh_engine import GREETING, EngineTransport
from automation.libraries.ssh_keys import load_private_key
from automation.libraries.ssh_login import KeyLoader, log_in
from automation.libraries.types import Credentials, Endpoint
from automation.libraries.wire import Wire, dial, exchange_greetings

Phase = Literal["resolve", "tcp", "banner", "identity", "login", "shell"]
OnPhase = Callable[[Phase], None]
"""Told when a phase begins."""


class SSHConnection:
    """The `Connection` of SSH: a login on a target whose identity was verified."""

    def __init__(self, transport: EngineTransport, endpoint: Endpoint, limits: Deadlines) -> None:
        self.endpoint = endpoint
        self.suspect = False
        """A channel of this connection was given up: better not used for further work."""
        self._transport = transport
        self._limits = limits

    def open_channel(self, command: str, *, deadline: float) -> SSHChannel:
        """Start `command` in the login's shell.

        Raises `ChannelRefused`, `ChannelTimeout`, `ExecRefused` (nothing was started), or `ExecTimeout`,
        `ConnectionLost`, whose `sent` says whether the command may have been started.
        """
        try:
            session = self._transport.start_session(deadline=min(deadline, after(self._limits.channel)))
            channel = SSHChannel(self._transport, session)
            channel.execute(command, deadline=min(deadline, after(self._limits.exec_answer)))
        except (ChannelTimeout, ExecTimeout):
            self.suspect = True
            raise
        return channel

    @property
    def host_key(self) -> str:
        """The key by which the target proved its identity, as an `Endpoint` holds it."""
        key = self._transport.get_remote_server_key()
        return key_line(key.get_name(), key.asbytes())

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

    def cut(self) -> None:
        """The same, from another thread than the one that works with it."""
        self.close()


def connect(
    endpoint: Endpoint,
    credentials: Credentials,
    *,
    limits: Deadlines | None = None,
    load_key: KeyLoader = load_private_key,
    on_phase: OnPhase | None = None,
) -> SSHConnection:
    """A verified login, or one of the errors of resolving, connecting, greeting, identity and login.

    No secret is used before the target has proved one of the endpoint's host keys. On any error nothing
    is left behind: no socket, no thread.
    """
    limits = limits or Deadlines()
    begin = on_phase or _ignore
    begin("resolve")
    addresses = resolve(endpoint.host, endpoint.port, deadline=after(limits.resolve))
    begin("tcp")
    wire = dial(addresses, limits, deadline=after(limits.tcp))
    transport: EngineTransport | None = None
    try:
        begin("banner")
        exchange_greetings(wire, f"{GREETING}\r\n".encode(), deadline=after(limits.banner))
        begin("identity")
        transport = EngineTransport(wire, limits, endpoint.host_keys)
        _exchange_keys(transport, deadline=after(limits.key_exchange))
        key = transport.get_remote_server_key()
        verify(endpoint, key.get_name(), key.asbytes())
        begin("login")
        log_in(transport, credentials, load_key=load_key, deadline=after(limits.login))
    except BaseException:
        _abandon(wire, transport)
        raise
    return SSHConnection(transport, endpoint, limits)


def _ignore(phase: Phase) -> None:
    """Nobody wants to know."""


def _abandon(wire: Wire, transport: EngineTransport | None) -> None:
    if transport is not None:
        transport.hang_up()
    wire.close()


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
