"""Two transactions that want one machine at once: here one waits; on SQLite there is one writer anyway."""

from __future__ import annotations

import threading
import time

import pytest
from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import User
from django.db import connection, transaction

from automation.definitions.query import parse
from automation.definitions.schema import load_workflow
from automation.models import HostKey, JobRun, Target, TargetLock
from automation.submit import Submission, submit
from automation.workers.gate import Answer, Block, Entrance
from automation.workers.shard import load_works

pytestmark = pytest.mark.django_db(transaction=True)
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIJ0k0zXmbvYb1cT1pF8n2hE3f9yT9Yb0a0b0c0d0e0f0"
CHANGE = "{name: change, steps: [{name: change, run: {bash: 'true'}}]}"


def run_on(name: str, person: User) -> JobRun:
    """Of a target with that name; all of them are one machine."""
    target = Target.objects.create(name=name, address=f"{name}.example.org")
    HostKey.objects.create(target=target, key_type="ssh-ed25519", key=KEY, state=HostKey.State.TRUSTED)
    wanted = Submission(workflow=load_workflow(CHANGE), query=parse(f"name:{name}"), submitter=person)
    return submit(wanted)


def enter(run: JobRun) -> Answer | Block:
    """As a worker's tick does, inside its transaction."""
    locked = JobRun.objects.locked(run.pk)
    (work,) = load_works(locked, locked.targets.all())
    entrance = Entrance(locked, [work])
    answer = entrance.admit(work)
    entrance.store()
    return answer


def test_one_machine_under_two_names_lets_one_run_in_and_the_other_waits() -> None:
    person = User.objects.create_user("olga")
    person.groups.add(Role.objects.get_or_create(name="operator")[0])
    first, second = run_on("web1", person), run_on("www", person)
    answers: list[Answer | Block] = []

    def another() -> None:
        try:
            with transaction.atomic():
                answers.append(enter(second))
        finally:
            connection.close()

    other = threading.Thread(target=another)
    with transaction.atomic():
        assert enter(first) == "go"
        other.start()
        time.sleep(0.3)
        assert not answers
    other.join(10)
    assert answers == ["wait"]
    assert set(TargetLock.objects.values_list("run", flat=True)) == {first.pk}
