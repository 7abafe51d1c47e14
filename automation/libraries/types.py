"""The types that the parts of the wire share: where to connect, as whom, and what a connection can do.

Every deadline in this package is a point of `time.monotonic()`, in seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from credentials.secret import Secret

Stream = Literal["stdout", "stderr"]
OnOutput = Callable[[Stream, bytes], None]
"""Receives output as it comes, in the thread that does the I/O. It may block: the target then waits."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect, and what proves that it is the right machine.

    `host` is a name or an address (IPv6 without brackets). Each host key reads like a line of a public
    key file without its comment: `ssh-ed25519 AAAAC3…`. So does each of `authorities`: a host certificate
    that one of these signed is accepted, too, if it names `host` or one of `principals`. A key among
    `revoked_keys` proves nothing, whoever signed it. With `via` the target is reached through a bastion.
    """

    host: str
    port: int = 22
    host_keys: tuple[str, ...] = ()
    authorities: tuple[str, ...] = ()
    principals: tuple[str, ...] = ()
    revoked_keys: tuple[str, ...] = ()
    via: Hop | None = None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who logs in. Never printed: only the login name shows in `repr()`.

    With a private key and a password, the key is tried first. `certificate` is the line of an OpenSSH user
    certificate for that key. `become_password` is what sudo asks for.
    """

    username: str
    password: Secret | None = field(default=None, repr=False)
    private_key: Secret | None = field(default=None, repr=False)
    passphrase: Secret | None = field(default=None, repr=False)
    become_password: Secret | None = field(default=None, repr=False)
    certificate: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Hop:
    """One bastion on the way: a machine with a login of its own. Its endpoint may have a bastion again.

    `name` is what errors call it.
    """

    name: str
    endpoint: Endpoint
    credentials: Credentials


class Channel(Protocol):
    """One command on a target, for one thread; only `wake` and `close` may come from another thread."""

    def send(self, data: bytes, *, deadline: float) -> None:
        """Hand all of `data` to the command's input.

        Raises `ConnectionLost`, or `CommandTimeout` when the target did not take it in time.
        """

    def send_eof(self) -> None:
        """Close the command's input."""

    def wait(self, *, deadline: float) -> bool:
        """Wait for output, the end or `wake()`; False says that the deadline passed first."""

    def wake(self) -> None:
        """End the present or the next `wait` now. Safe from any thread, at any time."""

    def read(self, stream: Stream) -> bytes:
        """What has come on this stream and was not read yet, at most 64 KiB; empty when there is nothing."""

    @property
    def ended(self) -> bool:
        """The target closed the channel and everything it sent was read."""

    @property
    def exit_status(self) -> int | None:
        """The command's exit status; None when the target sent none (lost, or ended by a signal)."""

    def close(self) -> None:
        """Give the channel up. Safe to repeat."""


class Connection(Protocol):
    """A login on a target. Many channels may be open at once, from many threads."""

    def open_channel(self, command: str, *, deadline: float) -> Channel:
        """Start `command` in the login's shell.

        Raises `ChannelRefused`, `ChannelTimeout`, `ExecRefused` (nothing was started), or `ExecTimeout`,
        `ConnectionLost`, whose `sent` says whether the command may have been started.
        """

    @property
    def alive(self) -> bool:
        """Whether the connection is up as far as this end can know."""

    def close(self) -> None:
        """Log out. Safe to repeat; running channels end with `ConnectionLost`."""


class Control(Protocol):
    """The handle by which another thread stops work in progress."""

    @property
    def cancelled(self) -> bool:
        """Somebody asked to stop."""

    @property
    def expired(self) -> bool:
        """The time given to the work is over."""

    def attach(self, wake: Callable[[], None]) -> None:
        """Call `wake` on each change of the two, at once if one of them is already true."""
