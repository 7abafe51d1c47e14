"""A shard that breaks whoever carries it: end it honestly, so that its run does not stay open for ever."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from automation.models import (
    Attempt,
    AttemptState,
    JobRun,
    ResultState,
    RunTarget,
    Shard,
    StepResult,
    TargetLock,
)
from automation.models.results import OPEN_ATTEMPTS, UNFINISHED, next_reconcile
from automation.workers.queue import enqueue

PATIENCE = 5
CODE = "internal.error"
SENT = (AttemptState.DISPATCHING, AttemptState.RUNNING)


def broke(shard: Shard) -> None:
    """Count the break; give the shard another chance, or after PATIENCE of them end it."""
    if shard.count_break() < PATIENCE:
        shard.hand_over()
    else:
        end(shard)


def end(shard: Shard) -> None:
    """What was sent is unknown and stays locked, the rest failed or is skipped; the run ends `errored`."""
    with transaction.atomic():
        run = JobRun.objects.locked(shard.run_id)
        if not shard.finish():
            return  # a zombie's shard breaks easily, and somebody else carries it well
        now = timezone.now()
        targets = shard.targets.open()
        attempts = Attempt.objects.filter(result__run_target__in=targets, state__in=OPEN_ATTEMPTS)
        sent = attempts.filter(state__in=SENT).exclude(mode=Attempt.Mode.PLAIN)
        unknown = set(sent.values_list("result__run_target", flat=True))
        results = StepResult.objects.filter(run_target__in=targets)
        text = "The portal itself failed here again and again; its log says why."
        running = results.filter(state=ResultState.RUNNING)
        ended = {"code": CODE, "message": text, "finished_at": now}
        running.filter(run_target__in=unknown).update(state=ResultState.UNKNOWN, **ended)
        running.filter(state=ResultState.RUNNING).update(state=ResultState.FAILED, **ended)
        results.filter(state__in=UNFINISHED).update(state=ResultState.SKIPPED, **ended)
        sent.filter(mode=Attempt.Mode.ENVELOPE).update(reconcile_at=next_reconcile(0))
        sent.update(state=AttemptState.UNKNOWN, code=CODE, ended_at=now)
        attempts.update(state=AttemptState.FENCED, code=CODE, ended_at=now)
        TargetLock.objects.filter(run_target__in=targets).exclude(run_target__in=unknown).delete()
        changing = targets.filter(state=RunTarget.State.CHANGING).count()
        bad = targets.update(state=RunTarget.State.DONE, good=False)
        run.in_flight, run.bad, run.stop_code = run.in_flight - changing, run.bad + bad, CODE
        run.save(update_fields=["in_flight", "bad", "stop_code"])
        run.tell([{"kind": "note", "code": CODE, "message": text}])
        enqueue("control", "advance", run.pk)
