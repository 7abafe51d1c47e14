"""A command that runs on the simulated target: its streams, its end, its thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from opsportal.simulated_windows.command_line import Line

PIPE = 4 * 1024 * 1024
"""Bytes of output that may wait for a reader; then the program waits, as at a full pipe."""
CONTROL_C_EXIT = 0xC000013A  # unsigned, as WinRM tells it
STREAMS = ("stdout", "stderr")


class Terminated(BaseException):
    """Thrown inside of a program that was ended from outside. No program may catch it."""


@dataclass(frozen=True)
class Process:
    """A process as a guard file names it: by number and start."""

    number: int
    ticks: int
    command: Command


@dataclass(frozen=True)
class Taken:
    """What one Receive hands on. `exit_code` is set with the last piece."""

    pieces: list[tuple[str, bytes]]
    exit_code: int | None


@dataclass(frozen=True)
class Place:
    """What a shell hands on to its commands."""

    environment: dict[str, str]
    directory: str = ""
    codepage: int = 437
    user: str = ""


class Command:
    """One command of a shell: stdin, output not yet fetched, exit code.

    Its program gets it and returns an exit code; it runs in a thread of its own.
    """

    def __init__(self, command_id: str, line: Line, place: Place) -> None:
        self.id = command_id
        self.line = line
        self.place = place
        self.exit_code: int | None = None
        self.delivered = False
        """Its end was handed to a client: Windows forgets it then."""
        self.started = time.monotonic()
        self._changed = threading.Condition()
        self._output: deque[tuple[str, bytes]] = deque()
        self._waiting = 0
        self._stdin = bytearray()
        self._stdin_ended = False
        self._terminated = False
        self._aborted = False

    def run(self, program: Callable[[Command], int]) -> None:
        threading.Thread(target=self._run, args=(program,), name=f"command {self.id}", daemon=True).start()

    def _run(self, program: Callable[[Command], int]) -> None:
        try:
            code = program(self)
        except Terminated:
            code = CONTROL_C_EXIT
        except Exception as error:  # noqa: BLE001  # the simulator's own fault must reach the test that met it
            self._append("stderr", f"simulated Windows: broke: {type(error).__name__}: {error}\r\n".encode())
            code = 1
        with self._changed:
            self.exit_code = code & 0xFFFFFFFF
            self._changed.notify_all()

    @property
    def running(self) -> bool:
        return self.exit_code is None

    def write(self, stream: str, data: bytes) -> None:
        """For the program. Waits while nobody fetches. Raises Terminated."""
        with self._changed:
            self._changed.wait_for(lambda: self._terminated or self._waiting < PIPE)
            self.check()
        self._append(stream, data)

    def _append(self, stream: str, data: bytes) -> None:
        with self._changed:
            if data:
                self._output.append((stream, data))
                self._waiting += len(data)
                self._changed.notify_all()

    def sleep(self, seconds: float) -> None:
        """For the program. Raises Terminated at once when the command is ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._terminated, timeout=seconds)
            self.check()

    def read_input(self) -> bytes:
        """For the program: all of stdin, once its end came. Raises Terminated."""
        with self._changed:
            self._changed.wait_for(lambda: self._terminated or self._stdin_ended)
            self.check()
            read, self._stdin = bytes(self._stdin), bytearray()
            return read

    def check(self) -> None:
        """For the program. Raises Terminated when it was ended."""
        if self._terminated:
            raise Terminated

    def feed(self, data: bytes, *, end: bool) -> None:
        """From a client: more stdin."""
        with self._changed:
            self._stdin += data
            self._stdin_ended = self._stdin_ended or end
            self._changed.notify_all()

    def terminate(self, *, abort: bool) -> None:
        """End it. With `abort` a pending Receive gets a fault, else the exit code of control-C."""
        with self._changed:
            self._terminated = True
            self._aborted = self._aborted or abort
            self._changed.notify_all()

    @property
    def aborted(self) -> bool:
        return self._aborted

    @property
    def waiting(self) -> int:
        """Bytes of output that nobody has fetched yet."""
        return self._waiting

    def ready(self) -> bool:
        return bool(self._output) or self.exit_code is not None or self._aborted

    def wait(self, seconds: float) -> bool:
        """Whether there is something to tell within that time."""
        with self._changed:
            return self._changed.wait_for(self.ready, timeout=seconds)

    def take(self, limit: int) -> Taken:
        """Output of at most `limit` bytes, taken away."""
        with self._changed:
            pieces: list[tuple[str, bytes]] = []
            while self._output and limit > 0:
                stream, data = self._output.popleft()
                if len(data) > limit:
                    self._output.appendleft((stream, data[limit:]))
                    data = data[:limit]
                limit -= len(data)
                self._waiting -= len(data)
                pieces.append((stream, data))
            self._changed.notify_all()
            last = not self._output and self.exit_code is not None
            self.delivered = self.delivered or last
            return Taken(pieces, self.exit_code if last else None)


@dataclass
class Shell:
    """A remote shell: what its commands share."""

    id: str
    owner: str
    address: str
    idle_timeout: float
    place: Place
    name: str = ""
    input_streams: str = "stdin"
    output_streams: str = "stdout stderr"
    commands: dict[str, Command] = field(default_factory=dict)
    operations: int = 0
    """Commands that it ever started: Windows counts them against its user until the shell is gone."""
    created: float = field(default_factory=time.monotonic)
    touched: float = field(default_factory=time.monotonic)
    receiving: int = 0

    def expired(self, now: float) -> bool:
        return not self.receiving and now - self.touched > self.idle_timeout

    def close(self) -> None:
        """End everything that runs in it."""
        for command in self.commands.values():
            command.terminate(abort=True)
