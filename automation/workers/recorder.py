"""The one writer of a shard: gathers what a tick changed and stores it in that tick's transaction."""

from __future__ import annotations

import uuid
from typing import Any

from automation.models import Attempt, JobRun, OutputChunk, RunTarget, StepResult, TargetLock
from automation.models.rows import insert_rows, update_rows
from automation.workers.output import OutputStore
from automation.workers.work import Work

ATTEMPT_FIELDS = (
    "state",
    "spool",
    "spool_id",
    "mode",
    "intent_at",
    "started_at",
    "ended_at",
    "exit_code",
    "how",
    "code",
    "message",
    "superseded",
    "left",
    "host_key",
    "reconcile_at",
    "forget_at",
    *OutputStore.FIELDS,
)
RESULT_FIELDS = (
    "state",
    "code",
    "message",
    "exit_code",
    "verified",
    "undone",
    "outputs",
    "started_at",
    "finished_at",
)


class Recorder:
    """Changes since the last `store`. Objects are noted once and written whole at the end of the tick."""

    def __init__(self) -> None:
        self._new: dict[Any, Attempt] = {}
        self._attempts: dict[Any, Attempt] = {}
        self._results: dict[int, StepResult] = {}
        self._finished: dict[int, RunTarget] = {}
        self._freed: list[int] = []
        self._forgotten: list[uuid.UUID] = []
        self._counted = False
        self._chunks: list[OutputChunk] = []
        self._events: list[dict[str, Any]] = []
        self._growing: dict[int, Work] = {}

    def new(self, attempt: Attempt) -> None:
        self._new[attempt.pk] = attempt

    def attempt(self, attempt: Attempt) -> None:
        if attempt.pk not in self._new:
            self._attempts[attempt.pk] = attempt

    def result(self, work: Work, result: StepResult, *, body: str = "") -> None:
        """A result changed state: store it and tell it."""
        self._results[result.pk] = result
        event = {
            "kind": "step",
            "target": work.row.name,
            "step": result.step,
            "state": str(result.state),
            "code": result.code,
            "message": result.message,
            "body": body,
        }
        self._events.append({key: value for key, value in event.items() if value})

    def amended(self, result: StepResult) -> None:
        """A result's words changed and its state did not: stored, not told."""
        self._results[result.pk] = result

    def fact(self, work: Work, *, body: str, state: str, message: str = "") -> None:
        """Tell of a verify or an undo, which are facts beside the state."""
        result = work.result()
        self._results[result.pk] = result
        event = {"kind": "step", "target": work.row.name, "step": result.step, "body": body, "state": state}
        self._events.append(event | ({"message": message} if message else {}))

    def counted(self) -> None:
        """The run's counters changed."""
        self._counted = True

    def finished(self, work: Work, *, keep_lock: bool) -> None:
        """The target is done; its lock is freed with it."""
        self._finished[work.row.pk] = work.row
        if not keep_lock:
            self._freed.append(work.row.pk)
        self._counted = True

    def forgotten(self, work: Work) -> None:
        """The script that carried them has ended, so the target has deleted these old directories."""
        self._forgotten += work.forgetting
        work.forgetting = []

    def note(self, work: Work, code: str, message: str, *, step: str = "") -> None:
        event = {"kind": "note", "target": work.row.name, "step": step, "code": code, "message": message}
        self._events.append({key: value for key, value in event.items() if value})

    def tell(self, event: dict[str, Any]) -> None:
        self._events.append(event)

    def output(self, work: Work) -> None:
        """The target's running body printed something."""
        self._growing[work.position] = work

    def flush_output(self, work: Work, *, last: bool, cut: bool = False) -> None:
        """Store what came; `last`: from this process, `cut`: others may read on from there."""
        self._growing.pop(work.position, None)
        if work.output is None or work.attempt is None:
            return
        chunks, grown = work.output.flush(last=last, cut=cut)
        self._chunks += chunks
        if chunks:
            self.attempt(work.attempt)
        for part in grown:
            self._events.append(
                {
                    "kind": "output",
                    "target": work.row.name,
                    "step": work.result().step,
                    "body": work.attempt.body,
                    **part,
                }
            )

    def store(self, run: JobRun) -> None:
        """Write everything; the caller holds the transaction and the run's row."""
        for work in list(self._growing.values()):
            self.flush_output(work, last=False)
        insert_rows(self._new.values())
        update_rows(self._attempts.values(), ATTEMPT_FIELDS)
        update_rows(self._results.values(), RESULT_FIELDS)
        update_rows(self._finished.values(), ("state", "good"))
        if self._freed:
            TargetLock.objects.filter(run_target__in=self._freed).delete()
        if self._forgotten:
            Attempt.objects.forgotten(self._forgotten)
        if self._counted:
            run.save(update_fields=["in_flight", "bad", "stop_code"])
        insert_rows(self._chunks)
        if self._events:
            run.tell(self._events)
        self._new, self._attempts, self._results = {}, {}, {}
        self._chunks, self._events = [], []
        self._finished, self._freed, self._counted = {}, [], False
        self._forgotten = []
