"""The queue carries the name of a task and a number, and nothing else."""

import multiprocessing
import os
import pickle
import signal
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner, dumps
from django.db import transaction
from django.utils import timezone
from django_q.models import OrmQ
from django_q.signing import SignedPackage
from django_q.tasks import async_task

from automation.workers.draining import SharedFlag
from automation.workers.queue import enqueue, offer_again
from automation.workers.task_packages import SALT, pack, unpack


class PickleSerializer:
    def dumps(self, value: object) -> bytes:
        return pickle.dumps(value)

    def loads(self, data: bytes) -> object:
        raise NotImplementedError


@pytest.mark.django_db
def test_a_task_is_stored_for_its_cluster() -> None:
    enqueue("execution", "run_shard", 12)
    row = OrmQ.objects.get()
    assert row.key == "execution"
    task = SignedPackage.loads(row.payload)
    assert (task["func"], task["args"]) == ("automation.tasks.run_shard", (12,))


@pytest.mark.django_db
def test_a_task_and_the_change_it_is_about_are_stored_together_or_not_at_all() -> None:
    with transaction.atomic():
        enqueue("control", "advance", 1)
        transaction.set_rollback(True)
    assert not OrmQ.objects.exists()


@pytest.mark.django_db
def test_tasks_fetched_by_a_killed_cluster_are_offered_again() -> None:
    enqueue("execution", "run_shard", 1)
    enqueue("control", "advance", 1)
    OrmQ.objects.update(lock=timezone.now() + timedelta(hours=3))
    assert offer_again("execution") == 1
    assert [row.key for row in OrmQ.objects.filter(lock__lte=timezone.now())] == ["execution"]


@pytest.mark.parametrize(
    ("task", "number"), [("os.system", 1), ("advance", -1), ("advance", True), ("advance", "1")]
)
def test_only_known_tasks_with_a_number_go_in(task: str, number: Any) -> None:
    with pytest.raises(ValueError, match=r"none of the tasks|one whole number"):
        pack(task, number)


@pytest.mark.parametrize(
    "content",
    [
        {"task": "os.system", "number": 1},
        {"task": "advance", "number": "1; rm"},
        {"task": "advance"},
        {"func": "os.system", "args": ["id"], "task": ["advance"], "number": 1},
        ["advance", 1],
        "advance",
        {"task": "advance", "number": 1, "padding": "x" * 1000},
    ],
)
def test_whoever_knows_the_key_can_still_only_wake_known_tasks(content: object) -> None:
    with pytest.raises(BadSignature):
        unpack(dumps(content, salt=SALT, compress=True))
    with pytest.raises(BadSignature):
        unpack(dumps(content, salt=SALT))


@pytest.mark.parametrize("salt", [SALT, settings.Q_CLUSTER["name"], "django.core.signing"])
def test_a_signed_pickle_is_refused(salt: str) -> None:
    with pytest.raises(BadSignature):
        SignedPackage.loads(dumps({"func": print}, salt=salt, serializer=PickleSerializer))


def test_a_signed_package_that_is_no_package_is_refused() -> None:
    for broken in (".AAAA", "%%%", ""):  # not compressed, not base64, nothing
        with pytest.raises(BadSignature):
            unpack(TimestampSigner(salt=SALT).sign(broken))


def test_a_payload_signed_with_another_key_is_refused() -> None:
    with pytest.raises(BadSignature):
        unpack(dumps({"task": "advance", "number": 1}, salt=SALT, key="another"))


@pytest.mark.django_db
def test_django_q_s_own_way_into_the_queue_is_closed() -> None:
    with pytest.raises(TypeError, match=r"automation\.workers\.queue\.enqueue"):
        async_task("os.getpid")


def test_a_shared_flag_is_seen_by_forked_processes_however_they_end() -> None:
    flag, seen = SharedFlag(), SharedFlag()

    def child() -> None:
        if flag.wait(10):
            seen.set()
        os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    assert not seen.is_set()
    flag.set()
    process.join(10)
    assert seen.is_set()
    assert process.exitcode == -signal.SIGKILL
    flag.clear()
    assert not flag.wait(0)
