"""Connections, opened once and used again: pooling, limits, idle eviction, resolution and tests.

A connection belongs to one endpoint with its trusted host keys and one set of credentials, secrets included:
when any of them changes, a new login is made. The logins on bastions are shared: many targets behind one are
reached through the same connection. Nothing here runs in the background; the owner calls
`close_idle()` now and then, and every use does the same in passing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import paramiko

from automation.libraries.bastions import Bastions, Shares
from automation.libraries.deadlines import Deadlines, after, remaining
from automation.libraries.errors import ConnectionBusy, LibraryError
from automation.libraries.host_key_scan import ScannedKey, scan_host_keys
from automation.libraries.resolution import resolve
from automation.libraries.results import ConnectionTest
from automation.libraries.ssh_connection import SSHConnection, connect
from automation.libraries.ssh_keys import load_private_key
from automation.libraries.target_check import check_target
from automation.libraries.types import Credentials, Endpoint, Hop
from automation.libraries.windows.connection import WinRMConnection
from automation.libraries.windows.connection import connect as connect_windows
from automation.libraries.windows.target_check import check_windows_target, scan_certificate
from automation.libraries.windows.types import WinRMEndpoint

logger = logging.getLogger(__name__)

PING_AFTER = 15.0
"""Seconds of rest after which a connection is asked for a sign of life before it is used again."""
PING_SECONDS = 5.0
KEYS_REMEMBERED = 1000
SWEEP_EVERY = 1.0
"""Seconds between two looks at all resting connections."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections may be open, and how long one may rest.

    `per_target` and `total` count connections in use and at rest; `wait` is how many seconds a caller waits
    for room before `ConnectionBusy`; `idle` is how many seconds an unused connection is kept. A bastion gets
    at most `per_target` logins, which `total` does not count, with `tunnels` connections through each.
    """

    per_target: int = 4
    tunnels: int = 64
    total: int = 500
    wait: float = 30.0
    idle: float = 60.0


@dataclass(frozen=True, slots=True)
class PoolStats:
    """Logins made (on targets) and connections used again since the start; connections in use and at rest,
    and logins on bastions, now."""

    logins: int
    reuses: int
    in_use: int
    idle: int
    bastions: int = 0


Pooled = SSHConnection | WinRMConnection


@dataclass(frozen=True, slots=True)
class _Resting:
    connection: Pooled
    since: float


PoolKey = tuple[Endpoint, Credentials]
Place = tuple[str | int, ...]


class ConnectionManager:
    """A pool of SSH and WinRM connections. Safe to use from many threads.

    A `WinRMEndpoint` is reached by WinRM, every other one by SSH; the limits count both kinds alike.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        deadlines: Deadlines | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits or Limits()
        self._deadlines = deadlines or Deadlines()
        self._clock = clock
        self._changed = threading.Condition()
        self._resting: dict[PoolKey, list[_Resting]] = {}
        self._in_use: set[Pooled] = set()
        self._places: Counter[Place] = Counter()
        self._keys: dict[Credentials, paramiko.PKey | None] = {}
        self._logins = 0
        self._reuses = 0
        self._swept = clock()
        self._closed = False
        shares = Shares(self._limits.per_target, self._limits.tunnels, self._limits.wait, self._limits.idle)
        self._bastions = Bastions(self._log_in_on_bastion, shares, clock=clock)

    @contextmanager
    def connection(self, endpoint: Endpoint, credentials: Credentials) -> Iterator[SSHConnection]:
        """An SSH connection for the caller alone, while the block lasts; afterwards it rests in the pool.

        Raises `ConnectionBusy`, or what `connect` raises. Only an attempt that sent nothing is made again:
        a resting connection that turns out to be dead is replaced by a new login.
        """
        with self._lent(endpoint, credentials) as connection:
            if not isinstance(connection, SSHConnection):
                raise TypeError("a WinRM endpoint gives no SSH connection; use windows_connection")
            yield connection

    @contextmanager
    def windows_connection(
        self, endpoint: WinRMEndpoint, credentials: Credentials
    ) -> Iterator[WinRMConnection]:
        """The same for a Windows target: a login with its warm shell, for one thread."""
        with self._lent(endpoint, credentials) as connection:
            if not isinstance(connection, WinRMConnection):
                raise TypeError("an SSH endpoint gives no WinRM connection; use connection")
            yield connection

    @contextmanager
    def _lent(self, endpoint: Endpoint, credentials: Credentials) -> Iterator[Pooled]:
        connection = self._take(endpoint, credentials)
        try:
            yield connection
        finally:
            self._give_back(endpoint, credentials, connection)

    def _take(self, endpoint: Endpoint, credentials: Credentials) -> Pooled:
        if self._clock() - self._swept >= SWEEP_EVERY:
            self.close_idle()
        deadline = after(self._limits.wait)
        while True:
            resting = self._take_resting_or_place(endpoint, credentials, deadline)
            if resting is None:
                return self._log_in(endpoint, credentials)
            if self._healthy(resting):
                with self._changed:
                    self._reuses += 1
                return self._lend(resting.connection)
            resting.connection.close()
            self._free_place(endpoint)

    def _take_resting_or_place(
        self, endpoint: Endpoint, credentials: Credentials, deadline: float
    ) -> _Resting | None:
        """A resting connection, or None when the caller now holds a place for a new one."""
        evicted: _Resting | None = None
        try:
            with self._changed:
                while True:
                    if self._closed:
                        raise ConnectionBusy("The connection manager was closed")
                    resting = self._resting.get((endpoint, credentials))
                    if resting:
                        return resting.pop()
                    evicted = self._make_room(endpoint)
                    if self._has_room(endpoint):
                        self._places[_place(endpoint)] += 1
                        return None
                    if not remaining(deadline) or not self._changed.wait(remaining(deadline)):
                        raise ConnectionBusy(f"No connection to {endpoint} became free in time")
        finally:
            if evicted is not None:
                evicted.connection.close()

    def _has_room(self, endpoint: Endpoint) -> bool:
        here = self._places[_place(endpoint)]
        return here < self._limits.per_target and self._places.total() < self._limits.total

    def _make_room(self, endpoint: Endpoint) -> _Resting | None:
        """Where a limit is reached, give up the connection that has rested longest. Holding the lock."""
        if self._has_room(endpoint):
            return None
        full_here = self._places[_place(endpoint)] >= self._limits.per_target
        candidates = [
            (resting.since, key)
            for key, stack in self._resting.items()
            for resting in stack[:1]
            if not full_here or _place(key[0]) == _place(endpoint)
        ]
        if not candidates:
            return None
        _, key = min(candidates, key=lambda candidate: candidate[0])
        oldest = self._resting[key].pop(0)
        self._release(key[0])
        return oldest

    def _healthy(self, resting: _Resting) -> bool:
        if not resting.connection.alive:
            return False
        rested = self._clock() - resting.since
        return rested < PING_AFTER or resting.connection.ping(deadline=after(PING_SECONDS))

    def _lend(self, connection: Pooled) -> Pooled:
        with self._changed:
            if not self._closed:
                self._in_use.add(connection)
                return connection
        connection.close()
        raise ConnectionBusy("The connection manager was closed")

    def _log_in(self, endpoint: Endpoint, credentials: Credentials) -> Pooled:
        connection: Pooled
        try:
            if isinstance(endpoint, WinRMEndpoint):
                connection = connect_windows(endpoint, credentials, limits=self._deadlines)
            else:
                connection = self._connect(endpoint, credentials)
        except BaseException as fault:
            self._free_place(endpoint)
            if isinstance(fault, LibraryError):
                logger.warning("login on %s failed: %s", endpoint, fault.code)
            raise
        logger.info("logged in on %s as %s", endpoint, credentials.username)
        with self._changed:
            self._logins += 1
        return self._lend(connection)

    def _connect(self, endpoint: Endpoint, credentials: Credentials) -> SSHConnection:
        return connect(
            endpoint,
            credentials,
            limits=self._deadlines,
            load_key=self._load_key,
            carry=self._bastions.borrow,
        )

    def _log_in_on_bastion(self, hop: Hop) -> SSHConnection:
        connection = self._connect(hop.endpoint, hop.credentials)
        logger.info("logged in on bastion %s (%s)", hop.name, hop.endpoint)
        return connection

    def _load_key(self, credentials: Credentials) -> paramiko.PKey | None:
        """Unlocking a key with a passphrase takes a tenth of a second by design: done once for each."""
        with self._changed:
            if credentials in self._keys:
                return self._keys[credentials]
        key = load_private_key(credentials)
        with self._changed:
            if len(self._keys) >= KEYS_REMEMBERED:
                self._keys.clear()
            self._keys[credentials] = key
        return key

    def _give_back(self, endpoint: Endpoint, credentials: Credentials, connection: Pooled) -> None:
        reusable = connection.alive and not connection.suspect
        with self._changed:
            self._in_use.discard(connection)
            reusable = reusable and not self._closed
            if reusable:
                stack = self._resting.setdefault((endpoint, credentials), [])
                stack.append(_Resting(connection, self._clock()))
                self._changed.notify_all()
        if not reusable:
            connection.close()
            self._free_place(endpoint)

    def _free_place(self, endpoint: Endpoint) -> None:
        with self._changed:
            self._release(endpoint)

    def _release(self, endpoint: Endpoint) -> None:
        self._places[_place(endpoint)] -= 1
        if not self._places[_place(endpoint)]:
            del self._places[_place(endpoint)]
        self._changed.notify_all()

    def close_idle(self) -> int:
        """Close the connections that have rested longer than they may, and dead ones; how many."""
        now = self._swept = self._clock()
        ended: list[Pooled] = []
        with self._changed:
            for key, stack in list(self._resting.items()):
                kept = [r for r in stack if now - r.since < self._limits.idle and r.connection.alive]
                for _ in range(len(stack) - len(kept)):
                    self._release(key[0])
                ended += [r.connection for r in stack if r not in kept]
                if kept:
                    self._resting[key] = kept
                else:
                    del self._resting[key]
        for connection in ended:
            connection.close()
        self._bastions.close_idle()
        return len(ended)

    def close(self) -> None:
        """Log out everywhere, also under work in progress, which ends with `ConnectionLost`."""
        with self._changed:
            self._closed = True
            ended = [r.connection for stack in self._resting.values() for r in stack]
            interrupted = list(self._in_use)
            self._resting.clear()
            self._places.clear()
            self._keys.clear()
            self._changed.notify_all()
        for connection in ended:
            connection.close()
        for connection in interrupted:
            connection.cut()
        self._bastions.close()

    def resolve(self, name: str) -> tuple[str, ...]:
        """All addresses of a name, IPv4 and IPv6. Raises `ResolveFailed`."""
        return tuple(map(str, resolve(name, 0, deadline=after(self._deadlines.resolve))))

    def test(
        self,
        endpoint: Endpoint,
        credentials: Credentials,
        *,
        installation: str = "",
        try_sudo: bool = True,
    ) -> ConnectionTest:
        """How far a fresh connection gets, phase by phase. Of the pool only its bastions are used.

        `installation` and `try_sudo` say how far to look on a Linux target: see `check_target`.
        """
        if isinstance(endpoint, WinRMEndpoint):
            return check_windows_target(endpoint, credentials, limits=self._deadlines)
        return check_target(
            endpoint,
            credentials,
            limits=self._deadlines,
            load_key=self._load_key,
            installation=installation,
            try_sudo=try_sudo,
            carry=self._bastions.borrow,
        )

    def scan(self, endpoint: Endpoint) -> tuple[ScannedKey, ...]:
        """The host keys, or the certificate, that the target shows, asked for without logging in there."""
        if isinstance(endpoint, WinRMEndpoint):
            return scan_certificate(endpoint, limits=self._deadlines)
        return scan_host_keys(endpoint, limits=self._deadlines, carry=self._bastions.borrow)

    @property
    def stats(self) -> PoolStats:
        """Counts of this moment."""
        with self._changed:
            idle = sum(map(len, self._resting.values()))
            return PoolStats(self._logins, self._reuses, len(self._in_use), idle, self._bastions.count)


def _place(endpoint: Endpoint) -> Place:
    """The machine that limits hold for: behind two bastions one address may be two machines."""
    behind = _place(endpoint.via.endpoint) if endpoint.via is not None else ()
    return (endpoint.host, endpoint.port, *behind)
