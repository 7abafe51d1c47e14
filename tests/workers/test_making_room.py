"""A worker that only waits for others gets out of their way."""

from automation import tasks
from automation.models import RunTarget, Shard, TargetLock
from automation.workers import gate
from automation.workers.queue import enqueue
from automation.workers.shard import load_shard
from tests.workers.spine import Spine

CHANGE = "{name: change, steps: [{name: change, run: {bash: 'true'}}]}"


def test_a_shard_that_only_waits_for_a_lock_makes_room_for_its_holder(spine: Spine) -> None:
    spine.add_targets("a")
    holder, waiter = spine.submit(CHANGE), spine.submit(CHANGE)
    tasks.advance(holder.pk)
    tasks.advance(waiter.pk)
    # The holder's worker was lost after it had taken the lock; its shard waits in the queue.
    (work,) = load_shard(holder.shards.get())
    holder.refresh_from_db()
    entrance = gate.Entrance(holder, [work])
    assert entrance.admit(work) == "go"
    entrance.store()

    tasks.run_shard(waiter.shards.get().pk)
    assert waiter.shards.get().state == Shard.State.QUEUED
    assert spine.states(waiter) == {"a": ["pending"]}

    enqueue("execution", "run_shard", holder.shards.get().pk)
    spine.drain()
    assert spine.states(holder) == spine.states(waiter) == {"a": ["succeeded"]}
    assert not TargetLock.objects.exists()
    assert not RunTarget.objects.filter(state=RunTarget.State.CHANGING).exists()
