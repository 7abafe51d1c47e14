"""What a backup says was under way may have gone on after it was made: none of it is ever started again.

The portal that made the backup may have worked on. A try that the backup knows is asked for on its target,
once the portal is unfrozen, by the id it had; a step that the backup knows no try of may have run under
another, so nobody can tell: it is `unknown`. Runs that waited may have been started since: they expire.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django_q.models import OrmQ

from automation.models import (
    Attempt,
    AttemptState,
    Installation,
    JobRun,
    ResultState,
    RunStatus,
    RunTarget,
    Shard,
    Spool,
    StepResult,
    WorkerProcess,
)
from automation.models.results import OPEN_ATTEMPTS, UNFINISHED
from automation.models.runs import LIVE, RESTORED, WAITING


@dataclass(frozen=True, slots=True)
class Settled:
    """How many runs were live or waited, and how many tries will be asked for."""

    live: int
    waiting: int
    to_ask: int


def settle_after_restore(made_at: datetime) -> Settled:
    """Freeze the portal and end every run that the backup, made at that moment, knows as not over."""
    why = f"This portal was restored from a backup of {made_at:%Y-%m-%d %H:%M:%S} UTC"
    with transaction.atomic():
        Installation.freeze(f"{why}. Nothing is run, asked or submitted until somebody unfreezes it.")
        OrmQ.objects.all().delete()
        WorkerProcess.objects.all().delete()
        waiting = list(JobRun.objects.filter(status__in=WAITING).values_list("pk", flat=True))
        for pk in waiting:
            _expire(JobRun.objects.locked(pk), why)
        live = list(JobRun.objects.filter(status__in=LIVE).values_list("pk", flat=True))
        to_ask = sum(_end(JobRun.objects.locked(pk), why, made_at) for pk in live)
    return Settled(len(live), len(waiting), to_ask)


def _expire(run: JobRun, why: str) -> None:
    pending = StepResult.objects.filter(run=run, state=ResultState.PENDING)
    pending.update(state=ResultState.SKIPPED, code=RESTORED, finished_at=timezone.now())
    RunTarget.objects.filter(run=run).update(state=RunTarget.State.DONE, good=False)
    run.move(
        RunStatus.EXPIRED,
        code=RESTORED,
        message=f"{why}. It may have been started since then: look, and submit it again if it was not.",
    )


def _end(run: JobRun, why: str, made_at: datetime) -> int:
    """How many tries will be asked for."""
    opened = Attempt.objects.filter(result__run=run, state__in=OPEN_ATTEMPTS).select_related(
        "result__run_target"
    )
    asked = sum(_leave_open(attempt, made_at) for attempt in opened)
    unfinished = StepResult.objects.filter(run=run, state__in=UNFINISHED)
    unfinished.update(
        state=ResultState.UNKNOWN,
        code=RESTORED,
        message=f"{why} while this run was live, and the step may have run since. Look at the target.",
        finished_at=timezone.now(),
    )
    run.targets.open().update(state=RunTarget.State.DONE, good=False)
    Shard.objects.filter(run=run).update(state=Shard.State.DONE)
    run.in_flight, run.stop_code = 0, RESTORED
    run.bad = run.targets.filter(good=False).count()
    run.save(update_fields=["in_flight", "stop_code", "bad"])
    run.move(
        RunStatus.ERRORED,
        code=RESTORED,
        message=f"{why} while it was live. What had not ended by then is unknown; none of it is run again.",
    )
    return asked


def _leave_open(attempt: Attempt, made_at: datetime) -> int:
    """1 when the target can be asked for it: it keeps an account under the try's id."""
    if attempt.state == AttemptState.CLAIMED and attempt.mode == Attempt.Mode.ENVELOPE:
        # It had not been sent, but may have been since, and then into the spool that was known.
        place = attempt.result.run_target.target_id
        spool = Spool.objects.filter(target=place, become=attempt.become).exclude(path="").first()
        attempt.intent_at = made_at
        if spool is None:
            attempt.mode = Attempt.Mode.DIRECT
        else:
            attempt.spool, attempt.spool_id = spool.path, spool.spool_id
    attempt.become_unknown()
    if attempt.reconcile_at is not None:
        attempt.reconcile_at = timezone.now()
    attempt.code = RESTORED
    attempt.save()
    return int(attempt.reconcile_at is not None)
