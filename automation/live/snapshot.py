"""A run as it stands, with the number of the last event that this includes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection, transaction

from automation.models import Attempt, JobRun, StepResult


@dataclass(frozen=True)
class Snapshot:
    """Rows read at one moment. Every event up to `last_seq` is in them, and none after it."""

    run: JobRun
    results: list[StepResult]
    """By position of the target, then step; each with its `run_target`."""
    attempts: dict[int, list[Attempt]]
    """Of each result that has any, by its primary key: the oldest first."""

    @property
    def last_seq(self) -> int:
        return self.run.last_seq

    def last_attempt(self, result: StepResult, body: str = Attempt.Body.RUN) -> Attempt | None:
        """The newest try to start this body of the result's step."""
        return next((a for a in reversed(self.attempts.get(result.pk, ())) if a.body == body), None)


def snapshot(run_id: int) -> Snapshot:
    """The run, its results and their attempts, all as of one moment, in a fixed number of queries.

    Follow it with the events after `last_seq`. Raises JobRun.DoesNotExist.
    """
    with one_moment():
        run = JobRun.objects.select_related("submitted_by", "workflow_version").get(pk=run_id)
        results = StepResult.objects.filter(run=run).select_related("run_target")
        rows = list(results.order_by("run_target__position", "step_index"))
        attempts: dict[int, list[Attempt]] = defaultdict(list)
        for attempt in Attempt.objects.filter(result__run=run).order_by("number"):
            attempts[attempt.result_id].append(attempt)
    return Snapshot(run, rows, dict(attempts))


@contextmanager
def one_moment() -> Iterator[None]:
    """Everything read inside was true at the same moment. Inside nothing may be written.

    `atomic` would take SQLite's write lock, so that a page being read would hold up the workers.
    """
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")
    else:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
