"""The library's seam of connections, served by a program: each channel is a process, such as `ssh`."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable

from automation.libraries.errors import CommandTimeout, ConnectionLost
from automation.libraries.types import Stream

AT_ONCE = 65536


class ProgramChannel:
    """A process with three pipes, for one thread."""

    def __init__(self, command: list[str]) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._input = self._process.stdin
        self._files: dict[int, Stream] = {
            self._process.stdout.fileno(): "stdout",
            self._process.stderr.fileno(): "stderr",
        }
        self._waiting: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}

    def send(self, data: bytes, *, deadline: float) -> None:
        view = memoryview(data)
        while view:
            if time.monotonic() >= deadline:
                raise CommandTimeout("The program took nothing")
            try:
                view = view[self._input.write(view) or 0 :]
            except OSError as error:
                raise ConnectionLost("The program closed its input") from error

    def send_eof(self) -> None:
        self._input.close()

    def wait(self, *, deadline: float) -> bool:
        if any(self._waiting.values()) or self.ended:
            return True
        readable, _, _ = select.select(list(self._files), [], [], max(0.0, deadline - time.monotonic()))
        for file in readable:
            data = os.read(file, AT_ONCE)
            if data:
                self._waiting[self._files[file]] += data
            else:
                del self._files[file]
        return bool(readable)

    def wake(self) -> None:
        """Nobody interrupts a benchmark."""

    def read(self, stream: Stream) -> bytes:
        data, self._waiting[stream] = self._waiting[stream], b""
        return data

    @property
    def ended(self) -> bool:
        return not self._files and not any(self._waiting.values())

    @property
    def exit_status(self) -> int | None:
        return self._process.wait() if self.ended else None

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._process.wait()


class ProgramConnection:
    """`command` gives the line of the program that runs a script on the target."""

    alive = True

    def __init__(self, command: Callable[[str], list[str]]) -> None:
        self._command = command

    def open_channel(self, command: str, *, deadline: float) -> ProgramChannel:
        return ProgramChannel(self._command(command))

    def close(self) -> None:
        """Each channel is closed by itself."""
