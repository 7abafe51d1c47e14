"""Scripted behaviours: what a script yields is what a test registered for its text."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from opsportal.simulated_windows.console import Console, Play

FILLER = (b"The simulated target writes this line to fill a pipe.  " * 20)[:1022] + b"\r\n"


@dataclass(frozen=True)
class Piece:
    """Bytes of a stream, written after a pause of `after` seconds."""

    data: bytes
    stream: Literal["stdout", "stderr"] = "stdout"
    after: float = 0.0


@dataclass(frozen=True)
class Behaviour:
    """What a script does: pieces first, then records, then its end.

    `fill` is a number of bytes of output in lines of 1 KiB. With `hang` it never ends by itself.
    """

    stdout: str = ""
    stderr: str = ""
    pieces: Iterable[Piece] = ()
    records: Iterable[tuple[str, str]] = ()
    """Stream (`progress`, `verbose`, ...) and text."""
    warnings: Iterable[str] = ()
    errors: Iterable[str] = ()
    fill: int = 0
    seconds: float = 0.0
    hang: bool = False
    exit_code: int = 0

    def play(self, console: Console) -> int:
        for piece in self.pieces:
            console.sleep(piece.after)
            console.raw(piece.stream, piece.data)
        console.raw("stdout", self.stdout.encode(console.encoding, "replace"))
        console.raw("stderr", self.stderr.encode(console.encoding, "replace"))
        for stream, text in self.records:
            console.record(stream, text)
        for text in self.warnings:
            console.warning(text)
        for text in self.errors:
            console.error(text)
        self._fill(console)
        console.sleep(self.seconds)
        while self.hang:
            console.sleep(3600)
        return self.exit_code

    def _fill(self, console: Console) -> None:
        block = FILLER * 32
        for _ in range(self.fill // len(block)):
            console.raw("stdout", block)
        console.raw("stdout", block[: self.fill % len(block)])


@dataclass
class Behaviours:
    """The registered ones; the newest that matches wins."""

    found: list[tuple[re.Pattern[str], Play]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, pattern: str, play: Play) -> None:
        """`pattern` is a regular expression, searched in the script's text or the command line."""
        with self._lock:
            self.found.insert(0, (re.compile(pattern, re.MULTILINE), play))

    def find(self, text: str) -> Play | None:
        with self._lock:
            return next((play for pattern, play in self.found if pattern.search(text)), None)
