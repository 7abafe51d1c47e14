"""Targets × steps as the live page shows them, made of one snapshot."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from automation.forecast import HARMLESS_SKIPS
from automation.live.snapshot import Snapshot
from automation.models import Attempt, AttemptState, ResultState, StepResult

BAD: Final = ("failed", "timed_out", "unreachable", "unknown", "blocked")
# Symbol and word: colour never tells anything alone. The page's script is handed this very table.
LOOKS: Final[dict[str, tuple[str, str]]] = {
    "pending": ("·", "waiting"),
    "running": ("▸", "running"),
    "succeeded": ("✓", "succeeded"),
    "failed": ("✕", "failed"),
    "timed_out": ("◷", "timed out"),
    "unreachable": ("⌀", "unreachable"),
    "cancelled": ("⊘", "cancelled"),
    "unknown": ("?", "outcome unknown"),
    "blocked": ("■", "blocked"),
    "skipped": ("–", "skipped"),
    "undone": ("↶", "failed, then undone"),
}
RANKS: Final = ("failed", "running", "stopped", "waiting", "ok")
RANK_WORDS: Final = {
    "failed": "failed",
    "running": "running",
    "stopped": "not run",
    "waiting": "waiting",
    "ok": "ok",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One step on one target."""

    result: StepResult

    @property
    def look(self) -> str:
        return "undone" if self.result.undone else str(self.result.state)

    @property
    def symbol(self) -> str:
        return LOOKS[self.look][0]

    @property
    def words(self) -> str:
        """What the cell says to who cannot see it."""
        code = f", exit status {self.result.exit_code}" if self.result.exit_code else ""
        return LOOKS[self.look][1] + code

    def facts(self) -> dict[str, Any]:
        """What the page's script starts from; what is empty is left out."""
        result = self.result
        found = {
            "state": str(result.state),
            "code": result.code,
            "message": result.message,
            "exit_code": result.exit_code,
            "verified": result.verified,
            "undone": result.undone,
            "started": _moment(result.started_at),
            "finished": _moment(result.finished_at),
        }
        return {key: value for key, value in found.items() if value not in (None, "")}


@dataclass(frozen=True, slots=True)
class Row:
    """One target."""

    name: str
    position: int
    batch: int
    cells: tuple[Cell, ...]

    @property
    def rank(self) -> str:
        """Which of RANKS the target is in."""
        states = {str(cell.result.state) for cell in self.cells}
        if states & {*BAD} or any(cell.result.undone is not None for cell in self.cells):
            return "failed"
        if "running" in states:
            return "running"
        if any(_is_stopped(cell.result) for cell in self.cells):
            return "stopped"
        if "pending" not in states:
            return "ok"
        return "running" if "succeeded" in states else "waiting"

    @property
    def started(self) -> datetime | None:
        return min((c.result.started_at for c in self.cells if c.result.started_at), default=None)

    @property
    def seconds(self) -> float | None:
        """From its first start to its last end so far."""
        ends = [c.result.finished_at for c in self.cells if c.result.finished_at and c.result.started_at]
        return (max(ends) - self.started).total_seconds() if ends and self.started else None


def _is_stopped(result: StepResult) -> bool:
    if result.state == ResultState.CANCELLED:
        return True
    return result.state == ResultState.SKIPPED and result.code not in HARMLESS_SKIPS


def rows_of(taken: Snapshot) -> list[Row]:
    """The targets, what went wrong first, then by position."""
    cells: dict[int, list[Cell]] = {}
    targets = {}
    for result in taken.results:
        targets[result.run_target_id] = result.run_target
        cells.setdefault(result.run_target_id, []).append(Cell(result))
    rows = [Row(t.name, t.position, t.batch, tuple(cells[pk])) for pk, t in targets.items()]
    return sorted(rows, key=lambda row: (RANKS.index(row.rank), row.position))


def tallies(rows: list[Row]) -> list[dict[str, Any]]:
    """How many targets are in each rank, in their order."""
    counts = Counter(row.rank for row in rows)
    return [{"rank": rank, "word": RANK_WORDS[rank], "count": counts[rank]} for rank in RANKS]


def progress(rows: list[Row]) -> list[dict[str, Any]]:
    """The bar's segments in percent of all targets: where each begins and how wide it is."""
    counts = Counter(row.rank for row in rows)
    total, start, segments = max(len(rows), 1), 0.0, []
    for rank in ("ok", "failed", "stopped", "running"):
        width = 100 * counts[rank] / total
        segments.append({"rank": rank, "start": round(start, 3), "width": round(width, 3)})
        start += width
    return segments


def opened_first(rows: list[Row]) -> Cell | None:
    """Whose log is shown to somebody who asked for none: what went wrong, else what runs, else the last."""
    for row in rows:
        for wanted in (BAD, ("running",)):
            if found := next((cell for cell in row.cells if cell.result.state in wanted), None):
                return found
    for row in rows:
        done = [cell for cell in row.cells if cell.result.started_at is not None]
        if done:
            return done[-1]
    return rows[0].cells[0] if rows else None


def telling_body(taken: Snapshot, result: StepResult) -> str:
    """The body whose output tells how the step went: the run, unless it ended well and its verify did not."""
    attempts = {attempt.body: attempt for attempt in taken.attempts.get(result.pk, ())}
    run = attempts.get(Attempt.Body.RUN)
    if run is None:
        return next(iter(attempts), Attempt.Body.RUN)
    ended_well = run.state == AttemptState.ENDED and run.exit_code == 0
    if result.state in BAD and ended_well and Attempt.Body.VERIFY in attempts:
        return Attempt.Body.VERIFY
    return Attempt.Body.RUN


def state_of(taken: Snapshot, rows: list[Row], steps: list[dict[str, Any]]) -> dict[str, Any]:
    """All that the page's script starts from, as of `last_seq`."""
    run = taken.run
    return {
        "run": run.pk,
        "last_seq": taken.last_seq,
        "status": str(run.status),
        "final": run.is_final,
        "batch": run.batch,
        "started": _moment(run.started_at),
        "finished": _moment(run.finished_at),
        "steps": [
            {
                "name": step["name"],
                "effect": step["effect"],
                "bodies": [kind for kind in ("run", "check", "verify", "undo") if step.get(kind)],
            }
            for step in steps
        ],
        "targets": [
            {
                "name": row.name,
                "position": row.position,
                "batch": row.batch,
                "cells": [cell.facts() for cell in row.cells],
            }
            for row in sorted(rows, key=lambda row: row.position)
        ],
        "looks": LOOKS,
        "bad": BAD,
        "ranks": RANKS,
        "harmless": HARMLESS_SKIPS,
    }


def _moment(value: datetime | None) -> str | None:
    return value.isoformat() if value else None
