"""A target on this machine: each channel is a process that stands for the login's shell."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from automation.libraries.errors import CommandTimeout, ConnectionLost
from automation.libraries.types import Stream


class LocalChannel:
    """A process with three pipes. `lose()` is the network's death: the far end is killed unasked."""

    def __init__(self, argv: Sequence[str], *, env: dict[str, str], cwd: Path, closed: bool = False) -> None:
        self.process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
            bufsize=0,
            start_new_session=True,
            restore_signals=True,
        )
        assert self.process.stdin and self.process.stdout and self.process.stderr
        self._input = self.process.stdin
        self._files: dict[Stream, int] = {
            "stdout": self.process.stdout.fileno(),
            "stderr": self.process.stderr.fileno(),
        }
        self._open: set[Stream] = {"stdout", "stderr"}
        self._waiting: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}
        self._wake_read, self._wake_write = os.pipe()
        self._status: int | None = None
        os.set_blocking(self._input.fileno(), False)
        self._closed = closed

    def send(self, data: bytes, *, deadline: float) -> None:
        view = memoryview(data)
        while view:
            self._collect(0)
            left = deadline - time.monotonic()
            if left <= 0:
                raise CommandTimeout("The target took nothing")
            _, writable, _ = select.select([], [self._input.fileno()], [], min(left, 0.2))
            if writable:
                try:
                    view = view[os.write(self._input.fileno(), view) :]
                except (BrokenPipeError, OSError) as error:
                    raise ConnectionLost("The target closed its input") from error

    def send_eof(self) -> None:
        self._input.close()

    def wait(self, *, deadline: float) -> bool:
        while True:
            if any(self._waiting.values()) or self.ended:
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if self._collect(left):
                return True

    def wake(self) -> None:
        os.write(self._wake_write, b"x")

    def read(self, stream: Stream) -> bytes:
        if not self._waiting[stream]:
            self._collect(0)
        data, self._waiting[stream] = self._waiting[stream], b""
        return data

    @property
    def ended(self) -> bool:
        if self._open or any(self._waiting.values()):
            return False
        if self._status is None:
            self._status = self.process.wait()
        return True

    @property
    def exit_status(self) -> int | None:
        return self._status if self._status is not None and self._status >= 0 else None

    def lose(self) -> None:
        """The connection dies: the shell's pipes break and nobody is told."""
        self.close()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for file in (self._input, self.process.stdout, self.process.stderr):
            assert file is not None
            file.close()
        self._open.clear()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _collect(self, seconds: float) -> bool:
        """Take what has come; True when there was something, or a wake."""
        wanted = [self._files[stream] for stream in self._open if not self._waiting[stream]]
        readable, _, _ = select.select([*wanted, self._wake_read], [], [], seconds)
        if self._wake_read in readable:
            os.read(self._wake_read, 100)
        for stream in sorted(self._open):
            if self._files[stream] in readable:
                data = os.read(self._files[stream], 65536)
                self._waiting[stream] = data
                if not data:
                    self._open.discard(stream)
        return bool(readable)


class LocalConnection:
    """Hands the command line to a login shell of this machine, as sshd would."""

    def __init__(
        self,
        *,
        login_shell: Sequence[str] = ("/bin/bash", "-c"),
        env: dict[str, str] | None = None,
        cwd: Path = Path("/"),
    ) -> None:
        self.login_shell = tuple(login_shell)
        self.env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", **(env or {})}
        self.cwd = cwd
        self.channels: list[LocalChannel] = []

    def open_channel(self, command: str, *, deadline: float) -> LocalChannel:
        channel = LocalChannel([*self.login_shell, command], env=self.env, cwd=self.cwd)
        self.channels.append(channel)
        return channel

    @property
    def alive(self) -> bool:
        return True

    def close(self) -> None:
        for channel in self.channels:
            channel.close()
