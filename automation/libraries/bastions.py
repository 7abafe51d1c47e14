"""Logins on bastions, each shared by the connections that go through it."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from automation.libraries.deadlines import after, remaining
from automation.libraries.errors import ConnectionBusy, LibraryError
from automation.libraries.ssh_connection import SSHConnection
from automation.libraries.types import Hop

PING_AFTER = 15.0
"""Seconds without any tunnel after which a login is asked for a sign of life before it is used again."""
PING_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Shares:
    """How many `logins` one bastion gets, how many `tunnels` go through each, how many seconds a caller waits
    for room (`wait`), and how long a login without tunnels is kept (`idle`)."""

    logins: int
    tunnels: int
    wait: float
    idle: float


@dataclass(slots=True, eq=False)
class _Login:
    since: float
    """Since when nothing goes through it."""
    tunnels: int = 0
    opened: Future[SSHConnection] = field(default_factory=Future)

    @property
    def connection(self) -> SSHConnection | None:
        """None until it is open."""
        done = self.opened.done() and self.opened.exception() is None
        return self.opened.result() if done else None

    @property
    def fit(self) -> bool:
        """More may go through it, or it is still being opened."""
        if not self.opened.done():
            return True
        connection = self.connection
        return connection is not None and connection.alive and not connection.suspect


class Lent:
    """The `Carrier` of one tunnel."""

    def __init__(self, connection: SSHConnection, give_back: Callable[[], None]) -> None:
        self.connection = connection
        self._give_back: Callable[[], None] | None = give_back

    def release(self) -> None:
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()


class Bastions:
    """Safe to use from many threads. Of many that need a bastion at once, one logs in and the rest wait."""

    def __init__(
        self, log_in: Callable[[Hop], SSHConnection], shares: Shares, *, clock: Callable[[], float]
    ) -> None:
        self._log_in = log_in
        self._shares = shares
        self._clock = clock
        self._changed = threading.Condition()
        self._logins: dict[Hop, list[_Login]] = {}
        self._closed = False

    def borrow(self, hop: Hop) -> Lent:
        """A place in a login on this bastion. Raises what `connect` raises, naming the bastion, or
        `ConnectionBusy`."""
        deadline = after(self._shares.wait)
        while True:
            login, is_ours = self._join(hop, deadline)
            connection = self._open(hop, login) if is_ours else self._opened(login)
            if is_ours or self._answers(login, connection):
                return Lent(connection, partial(self._leave, hop, login))
            connection.close()
            self._leave(hop, login)

    def _join(self, hop: Hop, deadline: float) -> tuple[_Login, bool]:
        """A login with room, and whether it is new and to be opened by the caller."""
        shares = self._shares
        with self._changed:
            while True:
                if self._closed:
                    raise ConnectionBusy("The connection manager was closed")
                logins = self._logins.setdefault(hop, [])
                free = [login for login in logins if login.tunnels < shares.tunnels and login.fit]
                if free:
                    chosen = min(free, key=lambda login: login.tunnels)
                    chosen.tunnels += 1
                    return chosen, False
                if sum(login.fit for login in logins) < shares.logins:
                    logins.append(new := _Login(self._clock(), tunnels=1))
                    return new, True
                if not remaining(deadline) or not self._changed.wait(remaining(deadline)):
                    raise ConnectionBusy("No tunnel became free in time").at(hop.name)

    def _open(self, hop: Hop, login: _Login) -> SSHConnection:
        try:
            connection = self._log_in(hop)
        except BaseException as fault:
            if isinstance(fault, LibraryError):
                fault.at(hop.name)
            with self._changed:
                self._forget(hop, login)
            login.opened.set_exception(fault)
            raise
        login.opened.set_result(connection)
        with self._changed:
            closed = self._closed
        if closed:
            connection.close()
            raise ConnectionBusy("The connection manager was closed")
        return connection

    def _opened(self, login: _Login) -> SSHConnection:
        """What another caller opens, or an error of our own that says why that failed."""
        try:
            return login.opened.result()
        except LibraryError as error:
            # Each caller's error travels its own way and is written on.
            raise copy.copy(error) from None

    def _answers(self, login: _Login, connection: SSHConnection) -> bool:
        if not connection.alive:
            return False
        with self._changed:
            rested = self._clock() - login.since if login.tunnels == 1 else 0.0
        return rested < PING_AFTER or connection.ping(deadline=after(PING_SECONDS))

    def _leave(self, hop: Hop, login: _Login) -> None:
        with self._changed:
            login.tunnels -= 1
            login.since = self._clock()
            gone = not login.tunnels and (self._closed or not login.fit)
            if gone:
                self._forget(hop, login)
            self._changed.notify_all()
        if gone and (connection := login.connection) is not None:
            connection.close()

    def _forget(self, hop: Hop, login: _Login) -> None:
        """Holding the lock."""
        rest = [other for other in self._logins.get(hop, []) if other is not login]
        if rest:
            self._logins[hop] = rest
        else:
            self._logins.pop(hop, None)
        self._changed.notify_all()

    def close_idle(self) -> int:
        """Log out where nothing went through for too long; how often."""
        now = self._clock()
        with self._changed:
            ended = [
                (hop, login)
                for hop, logins in self._logins.items()
                for login in logins
                if not login.tunnels and (now - login.since >= self._shares.idle or not login.fit)
            ]
            for hop, login in ended:
                self._forget(hop, login)
        for _, login in ended:
            if (connection := login.connection) is not None:
                connection.close()
        return len(ended)

    def close(self) -> None:
        """Log out everywhere, also under tunnels that are in use."""
        with self._changed:
            self._closed = True
            ended = [login for logins in self._logins.values() for login in logins]
            self._logins.clear()
            self._changed.notify_all()
        for login in ended:
            if (connection := login.connection) is not None:
                connection.close()

    @property
    def count(self) -> int:
        """Logins that are open or being opened."""
        with self._changed:
            return sum(map(len, self._logins.values()))
