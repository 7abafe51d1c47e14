"""What the demo writes to the terminal: plain lines, with a little weight and colour where one is read."""

from __future__ import annotations

import os
import textwrap
import time
from typing import TextIO

from opsportal.log_lines import printable

BOLD, DIM, RED, GREEN = "1", "2", "31", "32"
WIDTH = 100


class Paper:
    """A terminal, or whatever else stands in its place. Control characters of others never reach it."""

    def __init__(self, output: TextIO) -> None:
        self.output = output
        self.began = time.monotonic()
        self.colours = output.isatty() and "NO_COLOR" not in os.environ

    def line(self, text: str = "", *, style: str = "") -> None:
        """One line, at once."""
        shown = printable(text)
        if style and self.colours:
            shown = f"\x1b[{style}m{shown}\x1b[0m"
        self.output.write(f"{shown}\n")
        self.output.flush()

    def heading(self, text: str) -> None:
        self.line()
        self.line(text, style=BOLD)

    def paragraph(self, text: str) -> None:
        for line in textwrap.wrap(text, WIDTH):
            self.line(line)

    def progress(self, text: str) -> None:
        """One line with the seconds since the start."""
        self.line(f"{time.monotonic() - self.began:6.1f} s  {text}")

    def fields(self, rows: list[tuple[str, str]]) -> None:
        """Names and values in two columns."""
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            lines = textwrap.wrap(value, WIDTH - width - 4) or ["-"]
            self.line(f"  {name:<{width}}  {lines[0]}")
            for more in lines[1:]:
                self.line(f"  {'':<{width}}  {more}")

    def block(self, text: str) -> None:
        """Somebody's text as it stands."""
        for line in text.rstrip("\n").split("\n"):
            self.line(f"      | {line.expandtabs(4)}", style=DIM)
