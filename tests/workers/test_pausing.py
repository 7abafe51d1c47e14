"""A paused run begins no target, holds no worker, and goes on where it was."""

from __future__ import annotations

import pytest
from django_q.models import OrmQ

from automation import decide, pausing
from automation.models import IllegalTransition, JobRun, Shard
from automation.workers.sweeper import wake_shards
from tests.workers.spine import Spine

THREE = """
    name: three
    rollout: {canary: 0, max_parallel: 1, batches: BATCHES, on_failure: pause}
    steps:
      - {name: s, run: {bash: 'echo x >> LOG; BODY'}}
      - {name: t, effect: read, run: {bash: 'true'}}
"""


def three(spine: Spine, body: str = "true", *, batches: str = "[1]") -> str:
    text = THREE.replace("BODY", body).replace("BATCHES", batches)
    return text.replace("LOG", str(spine.scratch / "log"))


def begun(spine: Spine) -> int:
    log = spine.scratch / "log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def drained(spine: Spine, run: JobRun) -> JobRun:
    spine.drain()
    run.refresh_from_db()
    return run


def test_a_run_that_was_paused_before_it_started_goes_on_when_resumed(spine: Spine) -> None:
    spine.add_targets("a", "b")
    run = spine.submit(three(spine))
    pausing.pause(run.pk, by=spine.person)
    assert (drained(spine, run).status, begun(spine)) == ("paused", 0)
    pausing.resume(run.pk, by=spine.person)
    assert (drained(spine, run).status, begun(spine)) == ("succeeded", 2)


@pytest.mark.parametrize("batches", ["[1]", "[100%]"])
def test_too_many_failures_pause_the_run_until_somebody_resumes_it(spine: Spine, batches: str) -> None:
    spine.add_targets("a", "b", "c")
    run = spine.run(three(spine, "exit 1", batches=batches))
    assert (run.status, run.stop_code, begun(spine), run.bad) == ("paused", "", 1, 1)
    pausing.resume(run.pk, by=spine.person)
    assert (drained(spine, run).status, begun(spine), run.bad) == ("paused", 2, 2)
    pausing.resume(run.pk, by=spine.person)
    assert (drained(spine, run).status, begun(spine)) == ("failed", 3)
    assert not run.results.filter(state="pending").exists()


def test_a_paused_run_holds_no_worker_and_nobody_wakes_its_shards(spine: Spine) -> None:
    spine.add_targets("a", "b", "c")
    run = spine.run(three(spine, "exit 1", batches="[100%]"))
    assert list(Shard.objects.filter(run=run).values_list("state", flat=True)) == ["queued"]
    wake_shards(take_over=True)
    assert not OrmQ.objects.exists()


def test_a_paused_run_can_be_cancelled(spine: Spine) -> None:
    spine.add_targets("a", "b", "c")
    run = spine.run(three(spine, "exit 1", batches="[100%]"))
    decide.cancel(run.pk, by=spine.person)
    assert (drained(spine, run).status, begun(spine)) == ("cancelled", 1)
    assert not run.results.filter(state="pending").exists()


def test_the_canary_that_fails_is_replaced_when_the_run_is_resumed(spine: Spine) -> None:
    spine.add_targets("a", "b", "c")
    text = three(spine, '[ "$(wc -l < LOG)" -gt 1 ]').replace("canary: 0", "canary: 1")
    run = spine.run(text.replace("LOG", str(spine.scratch / "log")))
    assert (run.status, begun(spine)) == ("paused", 1)
    pausing.resume(run.pk, by=spine.person)
    assert (drained(spine, run).status, begun(spine)) == ("partial", 3)


def test_only_what_goes_on_can_be_paused_and_only_what_is_paused_resumed(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.submit(three(spine), hold=True)
    for verb in (pausing.pause, pausing.resume):
        with pytest.raises(IllegalTransition):
            verb(run.pk, by=spine.person)
