"""Events and output: everything after the number, or the byte, one already has."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from rest_framework.test import APIClient

from automation.models import ApiToken, Attempt, AttemptState, JobRun, OutputChunk, RunStatus, StepResult
from tests.api.conftest import bearer, token_text

Submit = Callable[..., JobRun]


@pytest.fixture
def viewer(clients: dict[str, APIClient]) -> APIClient:
    return clients["viewer"]


@pytest.fixture
def run(clients: dict[str, APIClient], submit_as: Submit) -> JobRun:
    return submit_as(clients["operator"])


def tell(run: JobRun, count: int, *, finish: bool = False) -> None:
    with transaction.atomic():
        row = JobRun.objects.locked(run.pk)
        row.tell([{"kind": "note", "message": str(n)} for n in range(count)])
        if finish:
            row.move(RunStatus.SUCCEEDED)


def events(client: APIClient, run: JobRun, **query: Any) -> dict[str, Any]:
    return dict(client.get(f"/api/v1/runs/{run.pk}/events/", query).json())


def test_events_come_after_a_number_in_pieces(viewer: APIClient, run: JobRun) -> None:
    tell(run, 4)
    first = events(viewer, run, after=1, limit=3)
    assert ([event["seq"] for event in first["events"]], first["last"], first["final"]) == (
        [2, 3, 4],
        4,
        False,
    )
    second = events(viewer, run, after=first["last"])
    assert ([event["seq"] for event in second["events"]], second["last"]) == ([5], 5)
    assert set(second["events"][0]) == {"seq", "at", "kind", "message"}


def test_the_story_is_final_when_the_run_is_over_and_all_was_told(viewer: APIClient, run: JobRun) -> None:
    tell(run, 1, finish=True)
    assert events(viewer, run, limit=1)["final"] is False
    assert events(viewer, run)["final"] is True
    assert events(viewer, run, after=3) == {"events": [], "last": 3, "final": True}


@pytest.mark.parametrize(
    "query", [{"after": "x"}, {"after": "-1"}, {"limit": "0"}, {"wait": "31"}, {"wait": "nan"}]
)
def test_a_question_that_makes_no_sense_is_refused(
    viewer: APIClient, run: JobRun, query: dict[str, str]
) -> None:
    assert viewer.get(f"/api/v1/runs/{run.pk}/events/", query).status_code == 400


def test_no_news_is_answered_after_the_wait(viewer: APIClient, run: JobRun) -> None:
    began = time.monotonic()
    assert events(viewer, run, after=1, wait=0.3)["events"] == []
    assert time.monotonic() - began >= 0.3


@pytest.mark.django_db(transaction=True)
def test_who_waits_gets_the_news_when_it_is_written(people: dict[str, User], submit_as: Submit) -> None:
    run = submit_as(bearer(token_text(people["operator"])))
    client = bearer(token_text(people["viewer"]))
    answers: list[dict[str, Any]] = []

    def wait() -> None:
        answers.append(events(client, run, after=1, wait=20))
        connection.close()

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.3)
    tell(run, 1)
    waiting.join(5)
    assert [event["seq"] for event in answers[0]["events"]] == [2]


@pytest.mark.django_db(transaction=True)
def test_who_is_let_go_while_waiting_gets_nothing_more(people: dict[str, User], submit_as: Submit) -> None:
    run = submit_as(bearer(token_text(people["operator"])))
    text = token_text(people["viewer"])
    client = bearer(text)
    answers: list[Any] = []

    def wait() -> None:
        answers.append(client.get(f"/api/v1/runs/{run.pk}/events/", {"after": 1, "wait": 20}))
        connection.close()

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.3)
    token = ApiToken.objects.valid(text)
    assert token is not None
    token.revoke()
    tell(run, 1)
    waiting.join(10)
    assert answers[0].status_code == 401


@pytest.fixture
def attempt(run: JobRun) -> Attempt:
    result = StepResult.objects.get(run=run, run_target__name="web1")
    return Attempt.objects.create(result=result, body="run", number=1, mode="envelope", become=False)


def chunk(attempt: Attempt, offset: int, data: bytes, stream: str = "stdout") -> None:
    OutputChunk.objects.create(
        attempt=attempt, stream=stream, offset=offset, end=offset + len(data), data=data
    )


def output(client: APIClient, run: JobRun, **query: Any) -> tuple[bytes, dict[str, str]]:
    answer = client.get(f"/api/v1/runs/{run.pk}/output/", {"target": "web1", "step": "touch"} | query)
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "application/octet-stream"
    assert (answer["X-Content-Type-Options"], answer["Content-Disposition"][:10]) == ("nosniff", "attachment")
    told = {name: answer[f"X-{name}"] for name in ("Offset", "Next-Offset", "Dropped", "Complete")}
    return answer.content, told


def test_output_comes_byte_for_byte_in_pieces(viewer: APIClient, run: JobRun, attempt: Attempt) -> None:
    chunk(attempt, 0, b"\x00\xffhello ")
    chunk(attempt, 8, b"world\n")
    assert output(viewer, run) == (
        b"\x00\xffhello world\n",
        {"Offset": "0", "Next-Offset": "14", "Dropped": "0", "Complete": "false"},
    )
    data, told = output(viewer, run, offset=4, limit=6)
    assert (data, told["Offset"], told["Next-Offset"]) == (b"llo wo", "4", "10")


def test_output_is_complete_when_its_attempt_is_over(
    viewer: APIClient, run: JobRun, attempt: Attempt
) -> None:
    chunk(attempt, 0, b"all of it")
    Attempt.objects.update(state=AttemptState.ENDED)
    assert output(viewer, run, limit=3)[1]["Complete"] == "false"
    assert output(viewer, run, offset=3)[1]["Complete"] == "true"
    assert output(viewer, run, offset=9)[1] == {
        "Offset": "9",
        "Next-Offset": "9",
        "Dropped": "0",
        "Complete": "true",
    }


def test_a_gap_is_skipped_and_said(viewer: APIClient, run: JobRun, attempt: Attempt) -> None:
    chunk(attempt, 0, b"head")
    chunk(attempt, 100, b"tail")
    Attempt.objects.update(state=AttemptState.ENDED)
    head, told = output(viewer, run)
    assert (head, told["Next-Offset"], told["Complete"]) == (b"head", "4", "false")
    tail, told = output(viewer, run, offset=4)
    assert (tail, told) == (
        b"tail",
        {"Offset": "100", "Next-Offset": "104", "Dropped": "96", "Complete": "true"},
    )


def test_the_last_attempt_is_shown_unless_another_is_named(
    viewer: APIClient, run: JobRun, attempt: Attempt
) -> None:
    second = Attempt.objects.create(
        result=attempt.result, body="run", number=2, mode="envelope", become=False
    )
    chunk(attempt, 0, b"first")
    chunk(second, 0, b"second")
    chunk(second, 0, b"oops", stream="stderr")
    assert output(viewer, run)[0] == b"second"
    assert output(viewer, run, attempt=attempt.pk.hex)[0] == b"first"
    assert output(viewer, run, stream="stderr")[0] == b"oops"
    assert output(viewer, run, body="verify")[0] == b""


def test_what_has_not_begun_has_no_output_yet(viewer: APIClient, run: JobRun) -> None:
    data, told = output(viewer, run, target="web2")
    assert (data, told["Complete"]) == (b"", "false")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"target": "web9"}, 404),
        ({"step": "other"}, 404),
        ({"attempt": "0" * 32}, 404),
        ({"attempt": "x"}, 404),
        ({"stream": "stdin"}, 400),
        ({"body": "all"}, 400),
        ({"offset": "-1"}, 400),
        ({"limit": str(4 * 1024 * 1024 + 1)}, 400),
        ({"target": ""}, 400),
        ({"q": "x"}, 400),
    ],
)
def test_output_of_nothing_is_told_so(
    viewer: APIClient, run: JobRun, attempt: Attempt, query: dict[str, str], status: int
) -> None:
    asked = {"target": "web1", "step": "touch"} | query
    assert viewer.get(f"/api/v1/runs/{run.pk}/output/", asked).status_code == status


def test_an_attempt_of_another_run_is_not_found(
    viewer: APIClient, run: JobRun, attempt: Attempt, clients: dict[str, APIClient], submit_as: Submit
) -> None:
    other = submit_as(clients["operator"])
    asked = {"target": "web1", "step": "touch", "attempt": attempt.pk.hex}
    assert viewer.get(f"/api/v1/runs/{other.pk}/output/", asked).status_code == 404


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"target": "wep1"}, "has no target 'wep1'; did you mean 'web1'?"),
        ({"target": "db"}, "/targets/` lists those it has."),
        ({"step": "tuch"}, "has no step 'tuch'; did you mean 'touch'?"),
        ({"step": "xyz"}, "has no step 'xyz'; known here: touch"),
    ],
)
def test_output_of_what_a_run_does_not_have_is_told_by_name(
    viewer: APIClient, run: JobRun, asked: dict[str, str], said: str
) -> None:
    url = f"/api/v1/runs/{run.pk}/output/"
    answer = viewer.get(url, {"target": "web1", "step": "touch"} | asked)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.json()["detail"].endswith(said)
