"""Who lives, who holds what, and who has fallen silent."""

from __future__ import annotations

from django.db.models import F
from django.utils import timezone

from automation.models import QueueProbe, Shard, WorkerProcess
from automation.workers.clock import lease_clock

FRESH_SECONDS = 30.0
PROBE_PATIENCE_SECONDS = 40.0


def worker_heartbeat(worker_id: str, cluster: str) -> None:
    """This worker command lives; called every 2 s by its main process."""
    clock, now = lease_clock()
    WorkerProcess.objects.update_or_create(
        worker_id=worker_id,
        defaults={"cluster": cluster, "clock": clock, "seen": now, "seen_at": timezone.now()},
    )


def end_leases(worker_id: str) -> None:
    """No process of this worker is left: what it held is free at once."""
    Shard.objects.end_leases(worker_id)
    WorkerProcess.objects.filter(worker_id=worker_id).delete()


def silent_workers(worker_ids: list[str], seconds: float) -> list[str]:
    """Those that stopped reporting, no longer renew a shard they hold, or let tasks lie while free."""
    clock, now = lease_clock()
    rows = {row.worker_id: row for row in WorkerProcess.objects.filter(worker_id__in=worker_ids, clock=clock)}
    mute = {name for name, row in rows.items() if now - row.seen > seconds}
    held = Shard.objects.filter(lease_owner__in=worker_ids, state=Shard.State.RUNNING, lease_clock=clock)
    # lease_until 0: the supervisor itself ended it.
    stale = held.filter(lease_until__gt=0, lease_until__lt=now + Shard.LEASE_SECONDS - seconds)
    stuck = {name for name, row in rows.items() if _probe_overdue(row) and not _busy(name, now)}
    return sorted(mute | set(stale.values_list("lease_owner", flat=True)) | stuck)


def fresh_clusters() -> set[str]:
    """Clusters with a worker heard of in the last 30 s."""
    clock, now = lease_clock()
    fresh = WorkerProcess.objects.filter(clock=clock, seen__gt=now - FRESH_SECONDS)
    return set(fresh.values_list("cluster", flat=True))


def execution_waits() -> bool:
    """Whether an execution worker that became free would find something to do: a shard, or a probe."""
    clock, now = lease_clock()
    queued = Shard.objects.filter(state=Shard.State.QUEUED)
    if queued.exists() or Shard.objects.lost(clock=clock, now=now).exists():
        return True
    return QueueProbe.objects.filter(cluster="execution", sent__gt=F("answered")).exists()


def _probe_overdue(worker: WorkerProcess) -> bool:
    """Only what happened in its own life counts: a probe may have been lost with the worker before it."""
    probe = QueueProbe.objects.filter(cluster=worker.cluster).first()
    if probe is None or probe.sent_at is None or probe.answered >= probe.sent:
        return False
    since = max(probe.sent_at, worker.started_at)
    return (timezone.now() - since).total_seconds() > PROBE_PATIENCE_SECONDS


def _busy(worker_id: str, now: float) -> bool:
    return Shard.objects.filter(
        lease_owner=worker_id, state=Shard.State.RUNNING, lease_until__gt=now
    ).exists()
