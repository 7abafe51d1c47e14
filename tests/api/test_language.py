"""Secret parameters, dry runs and loops by API."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from automation.models import AnsweredRequest, JobRun, StepResult, Target
from automation.plan import canonical, sha256

RUNS = "/api/v1/runs/"
LOGIN: dict[str, Any] = {
    "name": "login",
    "parameters": {"token": {"type": "secret", "min": 8}, "names": {"type": "list", "required": False}},
    "steps": [
        {"name": "use", "run": {"bash": "true"}, "check": {"bash": "exit 1"}},
        {"name": "make", "for_each": "names", "run": {"bash": "true"}},
    ],
}
VALUE = "hunter2-long"


@pytest.fixture
def operator(clients: dict[str, APIClient], web: list[Target]) -> APIClient:
    del web
    return clients["operator"]


def submit(client: APIClient, **body: Any) -> Any:
    asked = {"definition": LOGIN, "targets": "group:web", "parameters": {"token": VALUE}, "hold": True}
    return client.post(RUNS, asked | body, HTTP_IDEMPOTENCY_KEY="one")


def test_no_answer_shows_a_secret(operator: APIClient) -> None:
    made = submit(operator)
    run = operator.get(f"{RUNS}{made.json()['id']}/")
    assert made.status_code == 201
    assert VALUE not in made.content.decode() + run.content.decode()
    assert run.json()["inputs"]["secret_parameters"] == ["token"]
    assert list(run.json()["plan"]["header"]["secrets"]) == ["token"]


def test_a_wrong_secret_is_not_quoted(operator: APIClient) -> None:
    answer = submit(operator, parameters={"token": "short1"})
    assert (answer.status_code, answer.json()["code"]) == (400, "parameters.invalid")
    assert "at least 8" in answer.json()["errors"][0]["message"]
    assert "short1" not in answer.content.decode()


def test_an_idempotency_key_keeps_no_digest_that_tells_a_secret(operator: APIClient) -> None:
    first, again = submit(operator), submit(operator)
    assert (first.status_code, again.status_code, again.json()["id"]) == (201, 200, first.json()["id"])
    sent = {"definition": LOGIN, "targets": "group:web", "parameters": {"token": VALUE}, "hold": True}
    assert AnsweredRequest.objects.get().body_hash != sha256(canonical(sent))


def test_a_loop_is_visible_in_the_plan(operator: APIClient) -> None:
    made = submit(operator, parameters={"token": VALUE, "names": ["a", "b"]}).json()
    header = operator.get(f"{RUNS}{made['id']}/").json()["plan"]["header"]
    assert [step["name"] for step in header["workflow"]["steps"]] == ["use", "make [a]", "make [b]"]


def test_a_dry_run_has_a_forecast(operator: APIClient) -> None:
    made = submit(operator, dry_run=True).json()
    StepResult.objects.filter(run_target__name="web1").update(state="succeeded", code="check.would_change")
    run = operator.get(f"{RUNS}{made['id']}/").json()
    assert run["forecast"][0]["would_change"] == 1
    rows = operator.get(run["links"]["forecast"]).json()["results"]
    assert rows[0] == {
        "target": "web1",
        "would_change": ["use"],
        **{key: [] for key in ("already_so", "not_checked", "looked", "not_needed", "failed", "open")},
    }
    assert rows[1]["open"] == ["use"]


def test_only_a_dry_run_has_a_forecast(operator: APIClient, clients: dict[str, APIClient]) -> None:
    made = submit(operator).json()
    answer = operator.get(f"{RUNS}{made['id']}/forecast/")
    assert (answer.status_code, answer.json()["code"]) == (400, "run.not_dry")
    JobRun.objects.update(dry_run=True)
    assert clients["mallory"].get(f"{RUNS}{made['id']}/forecast/").status_code in (403, 404)


def test_a_run_is_paused_and_resumed(operator: APIClient, clients: dict[str, APIClient]) -> None:
    made = submit(operator, hold=False, targets="name:web1").json()
    here = f"{RUNS}{made['id']}/"
    JobRun.objects.filter(pk=made["id"]).update(status="queued")
    assert clients["viewer"].post(f"{here}pause/", {}).status_code == 403
    assert operator.post(f"{here}pause/", {"reason": "lunch"}).json()["status"] == "paused"
    assert operator.post(f"{here}pause/", {}).status_code == 409
    assert clients["ai"].post(f"{here}resume/", {}).json()["code"] in ("person.required", "scope.token")
    assert operator.post(f"{here}resume/", {}).json()["status"] == "queued"
    told = operator.get(f"{here}events/").json()["events"]
    assert [event["message"] for event in told if event.get("code") == "pause.requested"] == ["lunch"]
