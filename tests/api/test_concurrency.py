"""Many at once, on a real file: one run for one key, one decision for one run."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from rest_framework.test import APIClient

from automation.models import AnsweredRequest, Event, JobRun, Participant, Target
from tests.api.conftest import TOUCH, bearer, token_text

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/runs/"
ASKED = {"definition": TOUCH, "targets": "group:web", "parameters": {"file": "/tmp/x"}}


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each call gives, all of them let go together, each in a thread with a connection of its own."""
    answers: list[Any] = [None] * len(calls)
    ready = threading.Barrier(len(calls))

    def call(number: int) -> None:
        try:
            ready.wait(20)
            answers[number] = calls[number]()
        finally:
            connection.close()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers


def test_a_hundred_submissions_with_one_key_make_one_run(people: dict[str, User], web: list[Target]) -> None:
    client = bearer(token_text(people["operator"]))

    def submit() -> Any:
        return client.post(URL, ASKED, HTTP_IDEMPOTENCY_KEY="one")

    answers = at_once([submit] * 100)
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 99}
    assert len({json.dumps(answer.json(), sort_keys=True) for answer in answers}) == 1
    assert (JobRun.objects.count(), AnsweredRequest.objects.count()) == (1, 1)


def test_submissions_with_keys_of_their_own_make_runs_of_their_own(
    people: dict[str, User], web: list[Target]
) -> None:
    client = bearer(token_text(people["operator"]))

    def submit(key: str) -> Any:
        return client.post(URL, ASKED, HTTP_IDEMPOTENCY_KEY=key)

    answers = at_once([partial(submit, str(n)) for n in range(20)])
    assert {answer.status_code for answer in answers} == {201}
    assert JobRun.objects.count() == 20


@pytest.mark.parametrize("round_", range(5))
def test_two_deciders_at_once_make_one_decision(
    people: dict[str, User], submit_as: Callable[..., JobRun], round_: int
) -> None:
    run = submit_as(bearer(token_text(people["operator"])))
    approver, admin = bearer(token_text(people["approver"])), bearer(token_text(people["admin"]))
    body = {"plan_hash": run.plan_hash}
    answers = at_once(
        [
            lambda: approver.post(f"{URL}{run.pk}/approve/", body),
            lambda: admin.post(f"{URL}{run.pk}/reject/", body),
        ]
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    decided = Participant.objects.get(run=run, part="approver")
    run.refresh_from_db()
    assert run.status == {"approved": "queued", "rejected": "rejected"}[decided.decision]


def test_one_person_deciding_in_two_windows_decides_once(
    people: dict[str, User], submit_as: Callable[..., JobRun]
) -> None:
    run = submit_as(bearer(token_text(people["operator"])))
    JobRun.objects.update(approvals_required=2)
    approver = bearer(token_text(people["approver"]))
    url, body = f"{URL}{run.pk}/approve/", {"plan_hash": run.plan_hash}
    answers = at_once([lambda: approver.post(url, body)] * 4)
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert Participant.objects.filter(run=run, part="approver").count() == 1
    assert JobRun.objects.get().status == "awaiting_approval"


def test_the_story_has_no_gap_however_many_tell_it(
    people: dict[str, User], submit_as: Callable[..., JobRun]
) -> None:
    client: APIClient = bearer(token_text(people["admin"]))
    runs = [submit_as(client) for _ in range(4)]
    at_once([partial(client.post, f"{URL}{run.pk}/cancel/") for run in runs] * 2)
    for run in runs:
        numbers = list(Event.objects.filter(run=run).values_list("seq", flat=True))
        assert numbers == list(range(1, len(numbers) + 1))
