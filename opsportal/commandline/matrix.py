"""A run as a table of targets and steps, kept up to date by its events."""

from collections import Counter
from collections.abc import Iterable

from rich.box import SIMPLE
from rich.console import Group
from rich.table import Table
from rich.text import Text

from aiworkflows.client_types import Event, Run, StepResult
from opsportal.commandline.paper import BAD, harmless, style_of

# What needs a look comes first, then what moves, then what waits, then what is done.
ORDER = ("running", "pending", "cancelled", "skipped", "succeeded")


class Matrix:
    """States by target and step. `rows` is the most targets that are shown."""

    def __init__(self, run: Run, results: Iterable[StepResult], *, rows: int = 20) -> None:
        self._run = run.id
        self._status = run.status
        self._rows = max(rows, 1)
        self._cells: dict[str, dict[str, str]] = {}
        for row in results:
            self._cells.setdefault(row.target, {})[row.step] = row.state
        self._steps = list(dict.fromkeys(step for cells in self._cells.values() for step in cells))

    def apply(self, event: Event) -> None:
        """Take in what happened."""
        if event.kind == "run" and event.state:
            self._status = event.state
        # A verify or an undo is a fact beside the state of its step.
        if event.kind != "step" or not event.state or event.body not in {"", "run"}:
            return
        self._cells.setdefault(event.target, {})[event.step] = event.state
        if event.step not in self._steps:
            self._steps.append(event.step)

    def shown(self) -> list[str]:
        """The targets that are shown, those that need a look first."""
        return sorted(self._cells, key=lambda name: (self._rank(name), name))[: self._rows]

    def _rank(self, target: str) -> int:
        states = set(self._cells[target].values())
        if states & BAD:
            return -1
        return next((rank for rank, state in enumerate(ORDER) if state in states), len(ORDER))

    def __rich__(self) -> Group:
        counts = Counter(state for cells in self._cells.values() for state in cells.values())
        head = Text(f"Run {self._run}: ") + Text(self._status, style_of(self._status))
        for state, number in sorted(counts.items()):
            head += Text(f"  {number} {state}", style_of(state))
        table = Table("target", *map(harmless, self._steps), box=SIMPLE, pad_edge=False)
        for target in self.shown():
            states = [self._cells[target].get(step, "") for step in self._steps]
            table.add_row(harmless(target), *(Text(state, style_of(state)) for state in states))
        hidden = len(self._cells) - self._rows
        return Group(head, table, Text(f"and {hidden} targets more" if hidden > 0 else "", "dim"))
