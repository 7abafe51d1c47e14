"""Wakes what nobody holds: the queue is only a nudge, and a lost nudge must not stop a run."""

from __future__ import annotations

import time
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from automation.decide import expire
from automation.models import (
    AnsweredRequest,
    Installation,
    JobRun,
    QueueProbe,
    RunStatus,
    Shard,
    WorkerProcess,
)
from automation.workers.clock import lease_clock
from automation.workers.queue import Cluster, enqueue
from automation.workers.reconcile import wake_reconciliation
from automation.workers.rounds import wake_rounds

CLUSTERS: tuple[Cluster, ...] = ("control", "execution")
PROBE_SECONDS = 10.0
REWAKE_SECONDS = 10.0
GAP_SECONDS = 8.0
TIDY_SECONDS = 3600.0
ANSWERS_KEPT = timedelta(days=7)
WORKERS_KEPT = timedelta(days=1)


class Sweeper:
    """One in each control worker; several do no harm, for every change is conditional."""

    def __init__(self) -> None:
        self._last_round = time.monotonic()
        self._patient_until = 0.0
        self._tidied_at = -TIDY_SECONDS

    def sweep(self) -> None:
        """One round; called every second."""
        now = time.monotonic()
        if now - self._last_round > GAP_SECONDS:
            # We, or the database, were away: holders could not renew either. Give them one lease to do so.
            self._patient_until = now + Shard.LEASE_SECONDS
        if Installation.frozen():
            probe_queues()  # else the workers would be taken for stuck
            self._last_round = now
            return
        wake_runs()
        wake_shards(take_over=now >= self._patient_until)
        for run_id in JobRun.objects.overdue_for_approval().values_list("pk", flat=True):
            expire(run_id)
        wake_reconciliation()
        wake_rounds()
        probe_queues()
        if now - self._tidied_at > TIDY_SECONDS:
            tidy()
            self._tidied_at = now
        self._last_round = time.monotonic()


def tidy() -> None:
    """Delete what nobody will look at again."""
    now = timezone.now()
    AnsweredRequest.objects.filter(created_at__lt=now - ANSWERS_KEPT).delete()
    WorkerProcess.objects.filter(seen_at__lt=now - WORKERS_KEPT).delete()


def wake_runs() -> None:
    for run_id in list(JobRun.objects.due().values_list("pk", flat=True)):
        with transaction.atomic():
            run = JobRun.objects.locked(run_id)
            if run.wake_at is not None and run.wake_at <= timezone.now():
                run.wake(after=REWAKE_SECONDS)
                enqueue("control", "advance", run_id)


def wake_shards(*, take_over: bool) -> None:
    """Shards whose holder is gone, and queued ones whose task was lost."""
    clock, now = lease_clock()
    lost = Shard.objects.lost(clock=clock, now=now)
    if not take_over:
        lost = lost.filter(lease_until=0)  # ended by a supervisor that saw the holder's end
    early = timezone.now() - timedelta(seconds=2)
    for shard in lost.filter(woken_at__lt=early):
        _wake(shard)
    forgotten = timezone.now() - timedelta(seconds=REWAKE_SECONDS)
    answered = QueueProbe.objects.filter(cluster="execution").values_list("answered_at", flat=True).first()
    if answered is None:
        return
    # A later task was served, so ours was lost on the way; or all workers are busy, and then we wait.
    queued = Shard.objects.filter(state=Shard.State.QUEUED, woken_at__lt=min(forgotten, answered))
    for shard in queued.exclude(run__status=RunStatus.PAUSED, run__cancel_requested=False):
        _wake(shard)


def _wake(shard: Shard) -> None:
    with transaction.atomic():
        fresh = Shard.objects.filter(pk=shard.pk, woken_at=shard.woken_at)
        if fresh.update(woken_at=timezone.now()):
            enqueue("execution", "run_shard", shard.pk)


def probe_queues() -> None:
    """Send a task through each queue from time to time; its answer shows that the queue moves.

    An unanswered one is sent again: the first may have been lost with a worker that had just fetched it.
    """
    now = timezone.now()
    for number, cluster in enumerate(CLUSTERS):
        probe, _ = QueueProbe.objects.get_or_create(cluster=cluster)
        last = max(filter(None, (probe.sent_at, probe.repeated_at)), default=None)
        if last is not None and last > now - timedelta(seconds=PROBE_SECONDS):
            continue
        with transaction.atomic():
            asked = QueueProbe.objects.filter(
                pk=probe.pk, sent=probe.sent, answered=probe.answered, repeated_at=probe.repeated_at
            )
            if probe.sent > probe.answered:
                changed = asked.update(repeated_at=now)
            else:
                changed = asked.update(sent=F("sent") + 1, sent_at=now)
            if changed:
                enqueue(cluster, "probe", number)


def answer_probe(number: int) -> None:
    """The other end of a probe."""
    QueueProbe.objects.filter(cluster=CLUSTERS[number]).update(answered=F("sent"), answered_at=timezone.now())


_sweeper = Sweeper()


def sweep() -> None:
    """One round of this process's sweeper."""
    _sweeper.sweep()
