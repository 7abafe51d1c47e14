"""What is wrong in an inventory file: where, why, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

CORRECT_IT = "Correct it in the file, then import it again."


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong. `line` counts from 1; `row` names the row, `field` the column or key."""

    message: str
    line: int | None = None
    row: str = ""
    field: str = ""
    column: int | None = None
    next_step: str = CORRECT_IT

    def __str__(self) -> str:
        line = f"line {self.line}" if self.line else ""
        column = f"column {self.column}" if self.column else ""
        where = ", ".join(part for part in (line, column, self.row) if part)
        parts = [part for part in (where, self.field, self.message) if part]
        # The usual next step goes without saying where a person reads a list of mistakes.
        more = "" if self.next_step == CORRECT_IT else f". {self.next_step}"
        return ": ".join(parts) + more

    def as_dict(self) -> dict[str, Any]:
        """For the API."""
        return {
            "line": self.line,
            "column": self.column,
            "row": self.row,
            "field": self.field,
            "message": self.message,
            "next_step": self.next_step,
        }


class InventoryError(ValueError):
    """The file cannot be imported; `mistakes` has everything found wrong. Nothing was written."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = mistakes
        super().__init__("\n".join(map(str, mistakes)))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands: its line, its name in the file, and the lines and columns of its fields."""

    row: str
    line: int | None = None
    lines: dict[str, int] = field(default_factory=dict)
    columns: dict[str, int] = field(default_factory=dict)

    def named(self, name: object) -> Place:
        """The same place, with the name of the thing that the row is about."""
        return replace(self, row=f"{self.row} ({name[:100]})") if isinstance(name, str) else self

    def mistake(self, message: str, *, about: str = "", next_step: str = CORRECT_IT) -> Mistake:
        """A mistake here, about one field."""
        return Mistake(
            message=message,
            line=self.lines.get(about, self.line),
            row=self.row,
            field=about,
            column=self.columns.get(about),
            next_step=next_step,
        )
