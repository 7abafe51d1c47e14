"""A login on a Windows target, with a shell that is kept warm for the next command."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

from automation.libraries.deadlines import Deadlines, remaining
from automation.libraries.errors import ConnectionLost, LibraryError
from automation.libraries.types import Credentials
from automation.libraries.windows.transport import open_transport
from automation.libraries.windows.types import OnPhase, WinRMEndpoint
from automation.libraries.windows.wsman import (
    OPERATIONS_USED_UP,
    OWN_IDS_REFUSED,
    SHELL_GONE,
    Fault,
    NothingYet,
    Wsman,
    explain,
)

COMMANDS_PER_SHELL = 200
"""After so many a shell is closed: the target never counts them down for a login."""
WARM_SECONDS = 900.0
"""How long the target keeps a warm shell that nobody uses."""


class WinRMConnection:
    """One protocol object and at most one warm shell, for one thread at a time."""

    def __init__(self, endpoint: WinRMEndpoint, credentials: Credentials, limits: Deadlines) -> None:
        self.endpoint = endpoint
        self.suspect = False
        """Something went wrong on it: better not used for further work."""
        self.own_ids = True
        """The target takes shell and command ids of ours, as far as is known."""
        self._credentials = credentials
        self._limits = limits
        self._wsman: Wsman | None = None
        self._warm: str | None = None
        self._used = 0
        self.was_cut = False
        """It was closed from outside: no new protocol object will be made."""

    @property
    def wsman(self) -> Wsman:
        """The protocol object; a new one where the last was lost. Raises what a login raises."""
        if self.was_cut:
            raise ConnectionLost("The connection was closed here")
        if self._wsman is None:
            self._wsman = self._log_in(None)
        return self._wsman

    def log_in(self, on_phase: OnPhase | None = None) -> None:
        """Make the protocol object now."""
        self._wsman = self._log_in(on_phase)

    def _log_in(self, on_phase: OnPhase | None) -> Wsman:
        return Wsman(open_transport(self.endpoint, self._credentials, limits=self._limits, on_phase=on_phase))

    def second(self) -> Wsman:
        """A protocol object of its own, for another thread: two threads on one break its encryption."""
        return self._log_in(None)

    def reconnect(self) -> None:
        """Give up the protocol object, whose encryption is out of step; the shells stay on the target."""
        if self._wsman is not None:
            self._wsman.hang_up()
        self._wsman = None

    @property
    def alive(self) -> bool:
        """Whether the connection is up as far as this end can know."""
        return self._wsman is not None and self._wsman.alive

    def ping(self, *, deadline: float) -> bool:
        """Ask the target whether the warm shell is still there: one round trip."""
        if self._warm is None:
            return self.alive
        try:
            self.wsman.get(self._warm, seconds=remaining(deadline))
        except (Fault, NothingYet, LibraryError):
            return False
        return True

    def start(self, program: str, arguments: tuple[str, ...]) -> tuple[str, str]:
        """Start a program in the warm shell: the ids of shell and command.

        Nothing runs before its stdin has come, so a shell that the target has forgotten is made anew. Raises
        errors with `sent` False.
        """
        with nothing_sent():
            for last in (False, True):
                shell_id = self._warm_shell()
                try:
                    command_id = self._command(shell_id, new_id(), program, arguments)
                except Fault as fault:
                    if last or fault.number not in SHELL_GONE | {OPERATIONS_USED_UP}:
                        raise explain(fault, sent=False) from None
                    self.drop_shell()
                else:
                    self._used += 1
                    return shell_id, command_id
        raise AssertionError("the loop ends with its second round")

    def start_in(self, shell_id: str, command_id: str, program: str, arguments: tuple[str, ...]) -> str:
        """Start a program in a shell of the caller's, with this id where the target takes ids of ours.

        Raises errors with `sent` False.
        """
        with nothing_sent():
            try:
                return self._command(shell_id, command_id, program, arguments)
            except Fault as fault:
                raise explain(fault, sent=False) from None

    def _command(self, shell_id: str, command_id: str, program: str, arguments: tuple[str, ...]) -> str:
        if self.own_ids:
            try:
                return self.wsman.command(shell_id, command_id, program, arguments)
            except Fault as fault:
                if fault.number not in OWN_IDS_REFUSED:
                    raise
                self.own_ids = False
        return self.wsman.command(shell_id, None, program, arguments)

    def _warm_shell(self) -> str:
        if self._warm is not None and self._used >= COMMANDS_PER_SHELL:
            self.drop_shell()
        if self._warm is None:
            self._warm = self.open_shell(new_id(), idle_seconds=WARM_SECONDS)
            self._used = 0
        return self._warm

    def warm_up(self) -> None:
        """Open the warm shell now. Raises errors with `sent` False."""
        self._warm_shell()

    def open_shell(self, shell_id: str, *, idle_seconds: float) -> str:
        """A new shell, with this id where the target takes ids of ours. Raises errors with `sent` False."""
        with nothing_sent():
            try:
                if self.own_ids:
                    try:
                        return self.wsman.create(shell_id, idle_seconds=idle_seconds)
                    except Fault as fault:
                        if fault.number not in OWN_IDS_REFUSED:
                            raise
                        self.own_ids = False
                return self.wsman.create(None, idle_seconds=idle_seconds)
            except Fault as fault:
                raise explain(fault, sent=False) from None
            except LibraryError:
                # The shell may be there although its answer was lost; nobody else would ever close it.
                self.reconnect()
                self.delete_shell(shell_id)
                raise

    def drop_shell(self) -> None:
        """Close the warm shell, with all that runs in it."""
        shell_id, self._warm = self._warm, None
        if shell_id is not None:
            self.delete_shell(shell_id)

    def delete_shell(self, shell_id: str) -> bool:
        """Close a shell; whether the target says that it is gone. Raises nothing of the family."""
        for _ in range(0 if self.was_cut else 2):
            try:
                self.wsman.delete(shell_id)
            except Fault as fault:
                return fault.number in SHELL_GONE
            except (LibraryError, NothingYet):
                self.suspect = True
                self.reconnect()
            else:
                return True
        return False

    def cut(self) -> None:
        """Hang up from another thread. What runs on the target goes on; whoever follows it here is told."""
        self.was_cut = True
        if self._wsman is not None:
            self._wsman.cut()

    def close(self) -> None:
        """Close the warm shell and hang up. Safe to repeat."""
        if self._warm is not None:
            self.drop_shell()
        if self._wsman is not None:
            self._wsman.hang_up()
            self._wsman = None


@contextlib.contextmanager
def nothing_sent() -> Iterator[None]:
    """Whatever goes wrong inside, no script has begun: without its whole stdin the bootstrap does nothing."""
    try:
        yield
    except LibraryError as fault:
        fault.sent = False
        raise


def new_id() -> str:
    """An id for a shell or a command, as WS-Management writes it."""
    return str(uuid.uuid4()).upper()


def connect(
    endpoint: WinRMEndpoint,
    credentials: Credentials,
    *,
    limits: Deadlines | None = None,
    on_phase: OnPhase | None = None,
) -> WinRMConnection:
    """A login on a target whose identity was verified, or one of the errors of connecting, TLS and login."""
    connection = WinRMConnection(endpoint, credentials, limits or Deadlines())
    connection.log_in(on_phase)
    return connection
