"""What is printed: JSON when asked for, tables and colours on a terminal, plain lines anywhere else."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

GOOD: Final = frozenset({"succeeded", "verified", "undone", "ready"})
BAD: Final = frozenset(
    {"failed", "timed_out", "unreachable", "blocked", "unknown", "errored", "rejected", "undo_failed"}
)
ACTIVE: Final = frozenset({"running", "paused", "partial", "awaiting_approval", "held", "needs_answer"})


def style_of(state: str) -> str:
    """The colour of a state; none says it alone, the word is always there."""
    if state in GOOD:
        return "green"
    if state in BAD:
        return "bold red"
    return "yellow" if state in ACTIVE else "dim"


def harmless(text: str, *, keep: str = "") -> str:
    """The text without characters that a terminal would obey; targets and people wrote it."""
    return "".join(
        char if char.isprintable() or char in keep else "\N{REPLACEMENT CHARACTER}" for char in text
    )


class Paper:
    """Standard output for results, standard error for what is said about them."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.out = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
        self._err = Console(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)

    @property
    def live(self) -> bool:
        """Is there somebody who watches a terminal?"""
        return self.out.is_terminal and not self.as_json

    def json(self, value: Any) -> None:
        """One document."""
        sys.stdout.write(json.dumps(value, ensure_ascii=True, indent=2) + "\n")
        sys.stdout.flush()

    def line(self, text: str = "", *, style: str = "") -> None:
        """A line for people; nothing in JSON mode."""
        if self.as_json:
            return
        if self.out.is_terminal:
            self.out.print(Text(harmless(text), style))
        else:
            self._plain(harmless(text))

    def _plain(self, line: str) -> None:
        """A line at once, so that who reads a pipe sees it; rich would make blanks of tabs."""
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def say(self, text: str, *, style: str = "") -> None:
        """A line on standard error."""
        self._err.print(Text(harmless(text), style))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, states: int = -1) -> None:
        """Rows for people, column `states` in colours; not on a terminal: tabs, and no heading."""
        if not self.out.is_terminal:
            for row in rows:
                self._plain("\t".join(harmless(cell) for cell in row))
            return
        table = Table(*columns, box=SIMPLE, pad_edge=False)
        for row in rows:
            cells = [Text(harmless(cell)) for cell in row]
            if states >= 0:
                cells[states].stylize(style_of(row[states]))
            table.add_row(*cells)
        self.out.print(table, soft_wrap=False)

    def bytes(self, piece: bytes) -> None:
        """Output of a script: as it is into files and pipes, harmless on a terminal."""
        if self.out.is_terminal:
            sys.stdout.write(harmless(piece.decode("utf-8", errors="replace"), keep="\n\t"))
        else:
            sys.stdout.buffer.write(piece)
        sys.stdout.flush()

    def error(self, cause: str, next_step: str, *, code: str = "") -> None:
        """Why it did not work and what to do, on standard error; as JSON where that was asked for."""
        if self.as_json:
            told = {"error": cause, "code": code, "next": next_step}
            sys.stderr.write(json.dumps(told) + "\n")
            return
        first, *others = cause.splitlines() or [""]
        self.say(f"error: {first} [{code}]" if code else f"error: {first}", style="red")
        for line in others:
            self.say(f"       {line}", style="red")
        if next_step:
            self.say(f"next:  {next_step}")
