"""`release_lock`: a person frees what an unknown end left locked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.management.base import CommandError
from rest_framework.test import APIClient

from automation.models import Event, HostKey, JobRun, RunTarget, Target, TargetLock
from tests.api.conftest import HOST_KEY
from tests.commands.conftest import Run


@pytest.fixture
def locked(submit_as: Callable[..., JobRun], clients: dict[str, APIClient]) -> RunTarget:
    """web1 as a run left it in an unknown state, locked by its own name and by its key."""
    key = HostKey.objects.saw(Target.objects.get(name="web1"), "ssh-ed25519", HOST_KEY, HostKey.State.TRUSTED)
    run = submit_as(clients["operator"])
    row: RunTarget = run.targets.get(name="web1")
    row.state = RunTarget.State.DONE
    row.save()
    for name in (f"target:{row.target_id}", f"hostkey:{key.fingerprint}"):
        TargetLock.objects.create(key=name, run=run, run_target=row)
    return row


def test_the_lock_is_freed_and_told(run: Run, locked: RunTarget) -> None:
    out, _ = run("release_lock", "web1", "--reason", "looked at it")
    assert f"freed from run {locked.run_id} of touch-file, submitted by operator-person" in out
    assert not TargetLock.objects.exists()
    told = Event.objects.filter(run=locked.run_id).latest("seq").data
    assert (told["code"], told["target"], told["message"]) == ("lock.released", "web1", "looked at it")


def test_another_name_of_the_same_machine_frees_it_too(run: Run, locked: RunTarget) -> None:
    twin = Target.objects.create(name="twin", address="10.0.0.1")
    HostKey.objects.saw(twin, "ssh-ed25519", HOST_KEY, HostKey.State.TRUSTED)
    run("release_lock", "twin")
    assert not TargetLock.objects.exists()


def test_a_run_that_still_works_on_it_keeps_its_lock(run: Run, locked: RunTarget) -> None:
    RunTarget.objects.filter(pk=locked.pk).update(state=RunTarget.State.CHANGING)
    with pytest.raises(CommandError, match="still working on web1"):
        run("release_lock", "web1")
    assert TargetLock.objects.count() == 2


def test_nothing_locked_is_said(run: Run, web: list[Target]) -> None:
    out, _ = run("release_lock", "web2")
    assert "no run holds a lock" in out
    with pytest.raises(CommandError, match="no target"):
        run("release_lock", "nothing")
