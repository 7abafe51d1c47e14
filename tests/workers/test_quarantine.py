"""A run that breaks every worker ends, and says what is known."""

import pytest

from automation import tasks
from automation.models import Attempt, JobRun, Shard, StepResult, TargetLock
from automation.workers import quarantine
from automation.workers.clock import lease_clock
from tests.workers.spine import Spine

CHANGE = "{name: change, rollout: {canary: 0}, steps: [{name: change, run: {bash: 'true'}}]}"


@pytest.fixture
def poisoned(spine: Spine) -> Shard:
    """A shard that no worker can read: the rows of its plan were damaged after its start."""
    spine.add_targets("a", "b")
    run = spine.submit(CHANGE)
    tasks.advance(run.pk)
    run.targets.filter(name="b").update(leaf="damaged")
    return run.shards.get()


def carry(shard: Shard) -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        tasks.run_shard(shard.pk)


def test_a_shard_that_breaks_is_tried_again(poisoned: Shard) -> None:
    carry(poisoned)
    poisoned.refresh_from_db()
    assert (poisoned.state, poisoned.breaks) == (Shard.State.QUEUED, 1)


def test_a_run_that_breaks_again_and_again_ends_errored(spine: Spine, poisoned: Shard) -> None:
    for _ in range(quarantine.PATIENCE):
        carry(poisoned)
    spine.drain()
    run = JobRun.objects.get()
    assert (run.status, run.in_flight, run.bad) == ("errored", 0, 2)
    assert spine.states(run) == {"a": ["skipped"], "b": ["skipped"]}


def test_what_may_have_been_sent_is_unknown_and_stays_locked(spine: Spine, poisoned: Shard) -> None:
    target = poisoned.targets.get(name="a")
    result = StepResult.objects.get(run_target=target)
    StepResult.objects.filter(pk=result.pk).update(state="running")
    Attempt.objects.create(
        result=result, body="run", number=1, mode="envelope", become=False, state="dispatching"
    )
    TargetLock.objects.create(key="target:1", run=poisoned.run, run_target=target)
    quarantine.end(poisoned)
    spine.drain()
    assert spine.states(poisoned.run) == {"a": ["unknown"], "b": ["skipped"]}
    assert TargetLock.objects.filter(run_target=target).exists()


def test_a_zombie_ends_nothing_of_a_shard_that_was_taken_over(spine: Spine, poisoned: Shard) -> None:
    clock, now = lease_clock()
    zombie = Shard.objects.claim(poisoned.pk, owner="zombie", clock=clock, now=now, lease=-1)
    assert zombie is not None
    taken = Shard.objects.claim(poisoned.pk, owner="other", clock=clock, now=now, lease=20)
    assert taken is not None
    for _ in range(quarantine.PATIENCE):
        quarantine.broke(zombie)
    taken.refresh_from_db()
    assert (taken.state, taken.breaks, taken.lease_owner) == (Shard.State.RUNNING, 0, "other")
    assert spine.states(poisoned.run) == {"a": ["pending"], "b": ["pending"]}
