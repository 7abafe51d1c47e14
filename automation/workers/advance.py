"""The one call that moves a run: first start, next batch, after an approval, after a crash.

It holds no state of its own: it locks the run, looks at the rows, does what is next, and lets go.
"""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from automation.models import (
    JobRun,
    ResultState,
    RunStatus,
    RunTarget,
    Shard,
    StepResult,
)
from automation.models.runs import LIVE
from automation.plan import hash_plan, sha256
from automation.workers import quarantine
from automation.workers.queue import enqueue

log = logging.getLogger(__name__)

SHARD_TARGETS = 500
SAFETY_SECONDS = 30.0


def advance(run_id: int) -> None:
    """Do what is next for the run; calling it too often, or twice at once, does no harm."""
    with transaction.atomic():
        run = JobRun.objects.locked(run_id)
        if run.status not in LIVE:
            return
        run.wake(after=SAFETY_SECONDS)
        if run.is_resting or (run.status == RunStatus.QUEUED and not _start(run)):
            return
        if run.shards.exclude(state=Shard.State.DONE).exists():
            return
        rollout = json.loads(run.header)["rollout"]
        if run.batch == 0 and rollout["canary"] and _replace_canaries(run, rollout["canary"]):
            return
        _next_batch(run, rollout)


def _start(run: JobRun) -> bool:
    """Check that the stored plan is, to the byte, the one that was approved."""
    leaves = list(run.targets.order_by("position").values_list("leaf", flat=True))
    intact = sha256(run.header) == run.header_hash
    if not intact or hash_plan(run.header_hash, [sha256(leaf) for leaf in leaves]) != run.plan_hash:
        log.error("stored plan does not match its hash", extra={"run": run.pk})
        _skip_open(run, "plan.changed")
        run.move(RunStatus.ERRORED, code="plan.changed", message="What is stored is not what was approved.")
        return False
    run.move(RunStatus.RUNNING)
    return True


def _next_batch(run: JobRun, rollout: dict[str, Any]) -> None:
    if run.cancel_requested or run.stop_code:
        _skip_open(run, "run.cancelled" if run.cancel_requested else run.stop_code)
    number = run.targets.open().order_by("batch").values_list("batch", flat=True).first()
    if number is None:
        _finish(run)
    elif run.batch < 0 or _baked(run, rollout["bake"]):
        _open(run, number, run.targets.open().of_batch(number))


def _baked(run: JobRun, seconds: float) -> bool:
    """Between two batches, wait and see; a stop or cancel ends the wait."""
    if not seconds:
        return True
    if run.bake_until is None:
        run.bake_until = timezone.now() + timedelta(seconds=seconds)
        run.save(update_fields=["bake_until"])
        run.tell(
            [
                {
                    "kind": "note",
                    "code": "rollout.bake",
                    "message": f"Waiting {seconds:g} s, then the next batch.",
                }
            ]
        )
    if timezone.now() < run.bake_until:
        run.wake(after=(run.bake_until - timezone.now()).total_seconds())
        return False
    run.bake_until = None
    run.save(update_fields=["bake_until"])
    return True


def _replace_canaries(run: JobRun, wanted: int) -> bool:
    """A canary that could not be reached says nothing: the next target takes its place, within budget."""
    if run.stopped or run.bad > run.max_failures:
        return False
    missing = wanted - run.targets.of_batch(0).filter(good=True).count()
    ids = (
        list(run.targets.open().order_by("position").values_list("pk", flat=True)[:missing])
        if missing > 0
        else []
    )
    if not ids:
        return False
    run.targets.filter(pk__in=ids).update(batch=0)
    _open(run, 0, run.targets.filter(pk__in=ids))
    return True


def _open(run: JobRun, number: int, targets: Any) -> None:
    ids = list(targets.order_by("position").values_list("pk", flat=True))
    run.batch = number
    run.save(update_fields=["batch"])
    run.tell(
        [{"kind": "note", "code": "batch.opened", "message": f"Batch {number + 1}: {counted(len(ids))}."}]
    )
    for start in range(0, len(ids), SHARD_TARGETS):
        shard = Shard.objects.create(run=run, batch=number)
        RunTarget.objects.filter(pk__in=ids[start : start + SHARD_TARGETS]).update(shard=shard)
        enqueue("execution", "run_shard", shard.pk)


def counted(targets: int) -> str:
    return "1 target" if targets == 1 else f"{targets} targets"


def _skip_open(run: JobRun, code: str) -> None:
    """Targets that no batch has reached will not be reached any more."""
    pending = StepResult.objects.filter(run_target__in=run.targets.open(), state=ResultState.PENDING)
    pending.update(state=ResultState.SKIPPED, code=code, finished_at=timezone.now())
    run.targets.open().update(state=RunTarget.State.DONE, good=False)


def _finish(run: JobRun) -> None:
    good = run.targets.filter(good=True).count()
    if run.stop_code == quarantine.CODE:
        run.move(RunStatus.ERRORED, code=run.stop_code, message="The portal itself failed; see the notes.")
    elif good == run.total:
        run.move(RunStatus.SUCCEEDED)
    elif run.cancel_requested:
        run.move(
            RunStatus.CANCELLED, code="run.cancelled", message=f"{good} of {run.total} targets were good."
        )
    else:
        run.move(
            run.status_with(good), code=run.stop_code, message=f"{good} of {run.total} targets are good."
        )
