"""Pausing a run and letting it go on.

While a run is paused no target begins; those in the middle of their changes come to their end. Its shards are
let go, so that a pause of days holds no worker.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.db import transaction

from automation.models import IllegalTransition, JobRun, RunStatus, Shard
from automation.workers.queue import enqueue

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PAUSABLE = (RunStatus.QUEUED, RunStatus.RUNNING)


def pause(run_id: int, *, by: User, reason: str = "") -> JobRun:
    """Start no further target until somebody resumes the run. Raises IllegalTransition."""
    with transaction.atomic():
        run = JobRun.objects.locked(run_id)
        if run.status not in PAUSABLE or run.stopped:
            raise IllegalTransition(run, "paused")
        run.tell([_note("pause.requested", by, reason)])
        run.move(RunStatus.PAUSED, code="run.paused", message="No further target begins.")
    return run


def resume(run_id: int, *, by: User, reason: str = "") -> JobRun:
    """Let a paused run go on; after a pause for failures as many more may fail as its plan allows.

    Raises IllegalTransition.
    """
    with transaction.atomic():
        run = JobRun.objects.locked(run_id)
        if run.status != RunStatus.PAUSED or run.cancel_requested:
            raise IllegalTransition(run, "resumed")
        run.tell([_note("resume.requested", by, reason)])
        run.max_failures = run.bad + int(json.loads(run.header)["rollout"]["max_failures"])
        run.save(update_fields=["max_failures"])
        run.move(RunStatus.RUNNING if run.started_at else RunStatus.QUEUED)
        wake_paused(run)
    return run


def wake_paused(run: JobRun) -> None:
    """Have somebody look at the run and its shards. The caller holds the run's row."""
    run.wake()
    enqueue("control", "advance", run.pk)
    for shard in run.shards.exclude(state=Shard.State.DONE):
        enqueue("execution", "run_shard", shard.pk)


def _note(code: str, by: User, reason: str) -> dict[str, str]:
    return {"kind": "note", "code": code, "by": by.get_username(), "message": reason}
