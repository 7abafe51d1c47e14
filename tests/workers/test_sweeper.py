"""What nobody holds is woken; what somebody holds is left alone."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from automation.models import AnsweredRequest, JobRun, QueueProbe, RunStatus, Shard, WorkerProcess
from automation.workers import leases, sweeper
from automation.workers.clock import lease_clock
from tests.workers.spine import Spine

READ = "{name: look, steps: [{name: look, effect: read, run: {bash: 'true'}}]}"


@pytest.fixture
def shard(spine: Spine) -> Shard:
    spine.add_targets("a")
    run = spine.submit(READ)
    OrmQ.objects.all().delete()
    return Shard.objects.create(run=run, batch=0)


def hold(shard: Shard, seconds: float, owner: str = "worker") -> Shard:
    clock, now = lease_clock()
    held = Shard.objects.claim(shard.pk, owner=owner, clock=clock, now=now, lease=seconds)
    assert held is not None
    Shard.objects.update(woken_at=timezone.now() - timedelta(seconds=60))
    return held


def test_of_two_workers_woken_for_one_shard_one_gets_it(shard: Shard) -> None:
    clock, now = lease_clock()
    claims = [Shard.objects.claim(shard.pk, owner=o, clock=clock, now=now, lease=20) for o in "ab"]
    assert [claim is not None for claim in claims] == [True, False]


def test_a_lapsed_lease_is_woken_and_taken_over_with_a_new_token(shard: Shard) -> None:
    held = hold(shard, -1)
    sweeper.wake_shards(take_over=True)
    assert OrmQ.objects.filter(key="execution").count() == 1
    assert hold(shard, 20, "other").lease_token == held.lease_token + 1


def test_a_zombie_cannot_renew_what_was_taken_over(shard: Shard) -> None:
    zombie = hold(shard, -1)
    hold(shard, 20, "other")
    assert not zombie.renew(now=lease_clock()[1])


def test_a_held_shard_is_left_alone(shard: Shard) -> None:
    hold(shard, 20)
    sweeper.wake_shards(take_over=True)
    assert not OrmQ.objects.exists()


def test_after_an_outage_nobody_takes_over_for_one_lease(shard: Shard) -> None:
    hold(shard, -1)
    sweeper.wake_shards(take_over=False)
    assert not OrmQ.objects.exists()


def test_what_a_supervisor_ended_is_taken_over_at_once(shard: Shard) -> None:
    hold(shard, 20)
    leases.end_leases("worker")
    sweeper.wake_shards(take_over=False)
    assert OrmQ.objects.filter(key="execution").exists()


def test_a_restarted_machine_ends_all_its_leases(shard: Shard) -> None:
    hold(shard, 1e9)
    Shard.objects.update(lease_clock="an earlier boot")
    assert list(Shard.objects.lost(clock=lease_clock()[0], now=lease_clock()[1])) == [shard]


def test_a_forgotten_run_is_woken(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.submit(READ)
    OrmQ.objects.all().delete()
    sweeper.wake_runs()
    spine.drain()
    run.refresh_from_db()
    assert run.status == RunStatus.SUCCEEDED


def test_an_undecided_run_expires_with_no_row_pending(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.submit(READ, hold=True)
    JobRun.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    sweeper.Sweeper().sweep()
    run.refresh_from_db()
    assert run.status == RunStatus.EXPIRED
    assert spine.codes(run) == {"run.expired"}


def test_a_probe_is_answered_through_the_queue(spine: Spine) -> None:
    sweeper.probe_queues()
    spine.drain()
    assert all(probe.answered == probe.sent == 1 for probe in QueueProbe.objects.all())


def test_a_worker_whose_queue_does_not_move_counts_as_silent(db: None) -> None:
    leases.worker_heartbeat("w1", "execution")
    long_ago = timezone.now() - timedelta(seconds=leases.PROBE_PATIENCE_SECONDS + 1)
    WorkerProcess.objects.update(started_at=long_ago)
    QueueProbe.objects.create(cluster="execution", sent=1, sent_at=long_ago)
    assert leases.silent_workers(["w1"], 15) == ["w1"]


def test_a_new_worker_is_not_blamed_for_a_probe_of_before(db: None) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    QueueProbe.objects.create(cluster="execution", sent=1, sent_at=long_ago)
    leases.worker_heartbeat("new", "execution")
    assert leases.silent_workers(["new"], 15) == []


def test_a_probe_that_was_lost_with_a_worker_is_sent_again(db: None) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    QueueProbe.objects.create(cluster="execution", sent=1, sent_at=long_ago)
    sweeper.probe_queues()
    sweeper.probe_queues()
    assert OrmQ.objects.filter(key="execution").count() == 1


def test_a_busy_worker_is_not_blamed_for_its_queue(shard: Shard) -> None:
    leases.worker_heartbeat("worker", "execution")
    hold(shard, 20)
    long_ago = timezone.now() - timedelta(seconds=leases.PROBE_PATIENCE_SECONDS + 1)
    WorkerProcess.objects.update(started_at=long_ago)
    QueueProbe.objects.create(cluster="execution", sent=1, sent_at=long_ago)
    assert leases.silent_workers(["worker"], 15) == []


def test_a_worker_that_no_longer_renews_its_shard_is_silent(shard: Shard) -> None:
    leases.worker_heartbeat("worker", "execution")
    hold(shard, 2)
    assert leases.silent_workers(["worker"], 15) == ["worker"]


def test_a_worker_that_reports_is_fresh(db: None) -> None:
    leases.worker_heartbeat("w1", "execution")
    assert leases.fresh_clusters() == {"execution"}
    WorkerProcess.objects.update(seen=0)
    assert leases.fresh_clusters() == set()


def test_old_answers_and_workers_that_are_gone_are_deleted(spine: Spine) -> None:
    now = timezone.now()
    for age in (timedelta(days=8), timedelta(days=6)):
        AnsweredRequest.objects.create(
            user=spine.person, key=str(age), body_hash="", status=201, body={}, created_at=now - age
        )
    leases.worker_heartbeat("gone", "execution")
    WorkerProcess.objects.update(seen_at=now - timedelta(days=2))
    leases.worker_heartbeat("here", "execution")
    sweeper.Sweeper().sweep()
    assert AnsweredRequest.objects.get().key == str(timedelta(days=6))
    assert WorkerProcess.objects.get().worker_id == "here"


def test_tidying_waits_an_hour(spine: Spine) -> None:
    rounds = sweeper.Sweeper()
    rounds.sweep()
    leases.worker_heartbeat("gone", "execution")
    WorkerProcess.objects.update(seen_at=timezone.now() - timedelta(days=2))
    rounds.sweep()
    assert WorkerProcess.objects.exists()
