"""Samples, medians, ratios; as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any


@dataclass
class Case:
    """What was measured in each round, by name of the figure."""

    name: str
    samples: dict[str, list[float]] = field(default_factory=dict)
    note: str = ""

    def add(self, **figures: float) -> None:
        for name, value in figures.items():
            self.samples.setdefault(name, []).append(value)

    def median(self, figure: str) -> float | None:
        return median(self.samples[figure]) if self.samples.get(figure) else None

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "note": self.note, "samples": self.samples}


@dataclass(frozen=True)
class Column:
    """A figure to show; `peer` names the case to divide by, none for the figure itself.

    `mean` instead of the median for what is counted in clock ticks longer than the figure itself.
    """

    title: str
    figure: str
    peer: str = ""
    unit: float = 1.0
    mean: bool = False


def table(cases: list[Case], columns: list[Column]) -> str:
    """Medians with their range; a ratio is that of the medians."""
    by_name = {case.name: case for case in cases}
    rows = [["case", "rounds", *(column.title for column in columns), ""]]
    for case in cases:
        rounds = max((len(values) for values in case.samples.values()), default=0)
        cells = [_cell(case, column, by_name) for column in columns]
        rows.append([case.name, str(rounds), *cells, case.note])
    if not any(row[-1] for row in rows):
        rows = [row[:-1] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _cell(case: Case, column: Column, by_name: dict[str, Case]) -> str:
    middle = case.median(column.figure)
    if middle is None:
        return ""
    if not column.peer:
        values = [value * column.unit for value in case.samples[column.figure]]
        shown = f"{fmean(values) if column.mean else median(values):.3g}"
        return shown if len(values) == 1 else f"{shown} ({min(values):.3g}..{max(values):.3g})"
    of_peer = by_name[column.peer].median(column.figure) if column.peer in by_name else None
    return f"{middle / of_peer:.2f}" if of_peer else ""


def write_json(path: Path, name: str, settings: dict[str, Any], cases: list[Case]) -> None:
    machine = {
        "cores": os.cpu_count(),
        "load_at_the_end": os.getloadavg()[0],
        "python": platform.python_version(),
        "kernel": platform.release(),
    }
    content = {
        "benchmark": name,
        "settings": settings,
        "machine": machine,
        "cases": [case.as_dict() for case in cases],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
