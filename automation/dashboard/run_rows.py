"""Runs as lists show them: what a person wants to know at a glance, in a fixed number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count

from automation.api.run_answers import counts_of
from automation.models import JobRun, ResultState, RunStatus, RunTarget
from automation.models.results import GOOD, UNFINISHED
from automation.models.runs import JobRunQuerySet

# What lists do not show, and may be long.
UNSHOWN = ("header", "findings")


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a progress bar, in per cent of its width."""

    tone: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run with its results by state and its targets by how they ended."""

    run: JobRun
    counts: dict[str, int]
    good: int
    bad: int

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def open(self) -> int:
        return sum(self.counts.get(state, 0) for state in UNFINISHED)

    @property
    def percent(self) -> int:
        """How much of all steps on all targets has ended."""
        return round(100 * (self.total - self.open) / self.total) if self.total else 0

    @property
    def segments(self) -> list[Segment]:
        """Good, bad and running parts of the bar, in that order; what is left is pending."""
        good = sum(self.counts.get(state, 0) for state in GOOD)
        running = self.counts.get(ResultState.RUNNING, 0)
        parts = (("good", good), ("bad", self.total - self.open - good), ("busy", running))
        found, start = [], 0.0
        for tone, count in parts:
            if count:
                width = 100 * count / self.total
                found.append(Segment(tone, round(start, 3), round(width, 3)))
                start += width
        return found

    @property
    def summary(self) -> str:
        """How the targets fared, in words."""
        of = f"{self.run.total} target" + ("" if self.run.total == 1 else "s")
        if self.run.status in (RunStatus.HELD, RunStatus.AWAITING_APPROVAL):
            return of
        if self.run.status in (RunStatus.REJECTED, RunStatus.EXPIRED):
            return f"{of}, nothing was sent"
        if self.run.is_final:
            return f"{self.good} of {of} good"
        failed = f", {self.bad} not good" if self.bad else ""
        return f"{self.good + self.bad} of {of} done{failed}"

    @property
    def environments(self) -> list[str]:
        return sorted(name for name in self.run.blast_radius.get("by_environment", {}) if name != "none")

    @property
    def sentence(self) -> str:
        """What was asked for in words, or else the reason that was given."""
        return str(self.run.source.get("prompt") or self.run.reason)

    @property
    def seconds(self) -> float | None:
        run = self.run
        if run.started_at is None or run.finished_at is None:
            return None
        return (run.finished_at - run.started_at).total_seconds()


def shown(runs: JobRunQuerySet) -> JobRunQuerySet:
    """The runs with what a row needs of other tables, without what it does not show."""
    return runs.select_related("submitted_by").defer(*UNSHOWN)


def rows_of(*lists: Iterable[JobRun]) -> list[list[RunRow]]:
    """The rows of several lists, with two queries for all of them together."""
    kept = [list(runs) for runs in lists]
    numbers = [run.pk for runs in kept for run in runs]
    counts, ends = counts_of(numbers), _ends_of(numbers)
    return [[RunRow(run, dict(counts[run.pk]), *ends[run.pk]) for run in runs] for runs in kept]


def _ends_of(runs: list[int]) -> dict[int, tuple[int, int]]:
    """Good and bad targets of each run."""
    found: dict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
    rows: Any = RunTarget.objects.filter(run__in=runs, good__isnull=False).values_list("run", "good")
    for run, is_good, n in rows.annotate(n=Count("pk")).order_by():
        good, bad = found[run]
        found[run] = (good + n, bad) if is_good else (good, bad + n)
    return found
