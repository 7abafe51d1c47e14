"""What a target keeps of old attempts is deleted with a later run, by name, and nothing else is."""

from datetime import timedelta
from pathlib import Path

from django.utils import timezone

from automation.models import Attempt, JobRun
from tests.workers.spine import Spine

CHANGE = "{name: change, steps: [{name: change, run: {bash: 'true'}}]}"


def directory(run: JobRun) -> Path:
    attempt = Attempt.objects.get(result__run=run)
    return Path(attempt.spool) / "attempts" / attempt.pk.hex


def weeks_ago(run: JobRun) -> None:
    Attempt.objects.filter(result__run=run).update(forget_at=timezone.now() - timedelta(days=1))


def test_an_old_directory_goes_with_a_later_run(spine: Spine) -> None:
    spine.add_targets("a")
    old, young = spine.run(CHANGE), spine.run(CHANGE)
    weeks_ago(old)
    assert directory(old).exists()
    spine.run(CHANGE)
    assert not directory(old).exists()
    assert directory(young).exists()
    assert Attempt.objects.get(result__run=old).forget_at is None
    kept = Attempt.objects.get(result__run=young).forget_at
    assert kept is not None
    assert kept > timezone.now() + timedelta(days=6)


def test_what_another_spool_keeps_is_not_asked_of_this_one(spine: Spine) -> None:
    spine.add_targets("a")
    old = spine.run(CHANGE)
    weeks_ago(old)
    Attempt.objects.update(spool_id="another")
    spine.run(CHANGE)
    assert directory(old).exists()
    assert Attempt.objects.get(result__run=old).forget_at is not None


def test_each_target_is_told_its_own(spine: Spine) -> None:
    spine.add_targets("a")
    old = spine.run(CHANGE)
    weeks_ago(old)
    spine.add_targets("b")
    spine.run(CHANGE, targets="name:b")
    assert directory(old).exists()
    assert Attempt.objects.get(result__run=old).forget_at is not None


def test_a_run_that_did_not_end_leaves_them_to_the_next(spine: Spine) -> None:
    (target,) = spine.add_targets("a")
    old = spine.run(CHANGE)
    weeks_ago(old)
    port, target.port = target.port, 1
    target.save()
    spine.run(CHANGE)
    assert Attempt.objects.get(result__run=old).forget_at is not None
    target.port = port
    target.save()
    spine.run(CHANGE)
    assert not directory(old).exists()


def test_a_read_leaves_nothing_to_delete(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run("{name: look, steps: [{name: look, effect: read, run: {bash: 'true'}}]}")
    assert Attempt.objects.get(result__run=run).forget_at is None
