"""Freeing the lock of a target whose last state nobody knew, once a person has looked at it."""

from __future__ import annotations

from django.db import transaction

from automation.models import Attempt, HostKey, JobRun, RunTarget, Target, TargetLock


class StillBusy(Exception):
    """The run that holds the lock is not done with the target."""


def release_lock(target: Target, *, by: str, reason: str = "") -> list[JobRun]:
    """Free every lock that keeps work from this target, and tell it in the runs that held them.

    What is unknown there stays unknown: the machine asks for it no more, for a person has answered.

    Gives those runs; an empty list when nothing was locked. Raises StillBusy, and then frees nothing.
    """
    with transaction.atomic():
        held = TargetLock.objects.filter(key__in=_keys(target)).values_list("run", "run_target").distinct()
        return [_freed(run_id, row_id, by, reason) for run_id, row_id in sorted(held)]


def _keys(target: Target) -> list[str]:
    """The names a lock on this machine may have: its own, and that of each key it was ever known by."""
    keys = HostKey.objects.filter(target=target)
    return [f"target:{target.pk}", *(f"hostkey:{key.fingerprint}" for key in keys)]


def _freed(run_id: int, row_id: int, by: str, reason: str) -> JobRun:
    run = JobRun.objects.locked(run_id)
    row = RunTarget.objects.get(pk=row_id)
    if row.state != RunTarget.State.DONE:
        raise StillBusy(f"Run {run.pk} is still working on {row.name}. Cancel it, or wait for its end.")
    TargetLock.objects.filter(run_target=row).delete()
    Attempt.objects.filter(result__run_target=row).leave_to_a_person()
    note = {"kind": "note", "code": "lock.released", "target": row.name, "by": by, "message": reason}
    run.tell([{key: value for key, value in note.items() if value}])
    return run
