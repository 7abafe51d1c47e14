"""What a program on the simulated target writes to and reads from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opsportal.simulated_windows import clixml
from opsportal.simulated_windows.running import Command

NEWLINE = "\r\n"


class Console:
    """The streams of one powershell.exe (or cmd.exe), and the script with its parameters.

    `clixml` is how powershell.exe tells its other streams when it was called by -EncodedCommand; else they
    are text: errors on stderr, the others on stdout.
    """

    def __init__(
        self,
        command: Command,
        *,
        script: str,
        parameters: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
        clixml: bool = False,
    ) -> None:
        self.command = command
        self.script = script
        self.parameters = parameters or {}
        self.environment = {**command.place.environment, **(environment or {})}
        self.clixml = clixml
        self.stop_on_errors = False
        """`$ErrorActionPreference` is `Stop` from the start."""
        self._opened = False

    @property
    def encoding(self) -> str:
        return "utf-8" if self.command.place.codepage == 65001 else "cp437"

    def out(self, text: str) -> None:
        """One line of output."""
        self.raw("stdout", (text + NEWLINE).encode(self.encoding, "replace"))

    def host(self, text: str, *, end: str = "\n") -> None:
        """Write-Host, which ends its lines without a carriage return."""
        self.raw("stdout", (text + end).encode(self.encoding, "replace"))

    def raw(self, stream: str, data: bytes) -> None:
        self.command.write(stream, data)

    def err(self, text: str) -> None:
        """A line of stderr as a program that is no PowerShell writes it."""
        self.raw("stderr", (text + NEWLINE).encode(self.encoding, "replace"))

    def error(self, text: str) -> None:
        self.record("error", text)

    def warning(self, text: str) -> None:
        self.record("warning", text)

    def record(self, stream: str, text: str) -> None:
        """A record of `error`, `warning`, `verbose`, `debug`, `information` or `progress`."""
        if self.clixml:
            start = "" if self._opened else clixml.HEADER + clixml.OPENING
            self._opened = True
            self.raw("stderr", (start + clixml.record(stream, text)).encode())
        elif stream == "error":
            self.err(text)
        elif stream != "progress":
            self.out(text if stream == "information" else f"{stream.upper()}: {text}")

    def sleep(self, seconds: float) -> None:
        self.command.sleep(seconds)

    def read_input(self) -> bytes:
        return self.command.read_input()

    def close(self) -> None:
        """At the end of powershell.exe."""
        if self._opened:
            self.raw("stderr", clixml.CLOSING.encode())
            self._opened = False


Play = Callable[[Console], int]
"""A program: writes to its console and returns its exit code."""
