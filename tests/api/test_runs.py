"""Runs by API: submission and reading."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from automation.models import AnsweredRequest, ApiToken, JobRun, Participant, StepResult, Target, TargetLock
from tests.api.conftest import READ_UPTIME, TOUCH, bearer, token_text

URL = "/api/v1/runs/"
ASKED = {"definition": TOUCH, "targets": "group:web", "parameters": {"file": "/tmp/x"}}
Submit = Callable[..., JobRun]


@pytest.fixture
def operator(clients: dict[str, APIClient]) -> APIClient:
    return clients["operator"]


def requesters(run: JobRun) -> set[str]:
    return set(run.participants.filter(part="requester").values_list("user__username", flat=True))


def test_a_submission_is_answered_with_what_will_happen(operator: APIClient, web: list[Target]) -> None:
    answer = operator.post(URL, ASKED)
    assert answer.status_code == 201, answer.content
    told = answer.json()
    run = JobRun.objects.get()
    assert (told["id"], told["status"], told["plan_hash"]) == (run.pk, "awaiting_approval", run.plan_hash)
    assert (told["risk"]["tier"], told["approvals_required"]) == ("change", 1)
    assert told["blast_radius"]["targets"] == 3
    assert told["counts"] == {"pending": 3}
    assert told["links"]["self"] == f"{URL}{run.pk}/"


def test_a_workflow_is_run_by_name_in_the_version_asked_for(operator: APIClient, web: list[Target]) -> None:
    operator.post("/api/v1/workflows/", {"definition": READ_UPTIME})
    operator.post("/api/v1/workflows/", {"definition": READ_UPTIME | {"summary": "newer"}})
    newest = operator.post(URL, {"workflow": "uptime", "targets": "all"}).json()
    first = operator.post(URL, {"workflow": "uptime", "targets": "all", "version": 1}).json()
    assert (newest["version"], first["version"]) == (2, 1)
    assert first["status"] == "queued"


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"targets": "group:wbe"}, "targets.none", "web"),
        ({"targets": "group:"}, "query.invalid", "column"),
        ({"targets": None}, "invalid", ""),
        ({"parameters": {"fil": "x"}}, "parameters.invalid", "did you mean 'file'"),
        ({"parameters": {}}, "parameters.invalid", "required"),
        ({"rollout": {"canari": 1}}, "definition.invalid", "canary"),
        ({"definition": {"name": "x"}}, "definition.invalid", "steps"),
        ({"definition": "touch"}, "invalid", ""),
        ({"workflow": "x"}, "invalid", "either"),
        ({"hold": "yes"}, "invalid", "true or false"),
        ({"holt": True}, "invalid", "did you mean 'hold'"),
        ({"start_at": "tomorrow"}, "invalid", ""),
        ({"version": 1}, "invalid", "version"),
        ({"source": {"requested_by": "nobody"}}, "invalid", "nobody"),
        ({"source": {"kid": "ai"}}, "invalid", "did you mean 'kind'"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_the_reason(
    operator: APIClient, web: list[Target], change: dict[str, Any], code: str, says: str
) -> None:
    answer = operator.post(URL, ASKED | change)
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.content
    assert says in answer.json()["detail"]
    assert not JobRun.objects.exists()


def test_an_unknown_workflow_is_told_the_nearest(operator: APIClient, web: list[Target]) -> None:
    operator.post("/api/v1/workflows/", {"definition": READ_UPTIME})
    answer = operator.post(URL, {"workflow": "uptme", "targets": "all"})
    assert (answer.status_code, answer.json()["code"]) == (400, "workflow.unknown")
    assert "'uptime'" in answer.json()["detail"]
    gone = operator.post(URL, {"workflow": "uptime", "version": 9, "targets": "all"})
    assert gone.json()["code"] == "workflow.version_unknown"


def test_the_owner_of_the_token_and_who_typed_the_sentence_are_requesters(
    people: dict[str, User], web: list[Target]
) -> None:
    ai = bearer(token_text(people["operator"], "ai"))
    source = {"kind": "ai", "prompt": "touch it", "requested_by": people["approver"].username}
    run = JobRun.objects.get(pk=ai.post(URL, ASKED | {"source": source}).json()["id"])
    assert requesters(run) == {people["operator"].username, people["approver"].username}
    assert (run.author_kind, run.source) == ("ai", source)


def test_in_process_the_owner_of_the_token_is_a_requester_beside_the_principal(
    people: dict[str, User], web: list[Target]
) -> None:
    token = ApiToken.objects.valid(token_text(people["admin"], "ai"))
    inside: dict[str, Any] = {"opsportal.principal": people["operator"], "opsportal.auth": token}
    run = JobRun.objects.get(pk=APIClient().post(URL, ASKED, **inside).json()["id"])
    assert requesters(run) == {people["operator"].username, people["admin"].username}


def test_a_replay_gets_the_first_answer(operator: APIClient, web: list[Target]) -> None:
    first = operator.post(URL, ASKED, HTTP_IDEMPOTENCY_KEY="k1")
    Target.objects.all().delete()
    again = operator.post(URL, ASKED, HTTP_IDEMPOTENCY_KEY="k1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert JobRun.objects.count() == 1


def test_a_key_stands_for_one_body(operator: APIClient, web: list[Target]) -> None:
    operator.post(URL, ASKED, HTTP_IDEMPOTENCY_KEY="k1")
    other = operator.post(URL, ASKED | {"hold": True}, HTTP_IDEMPOTENCY_KEY="k1")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency.mismatch")
    assert JobRun.objects.count() == 1


def test_a_key_belongs_to_one_user(clients: dict[str, APIClient], web: list[Target]) -> None:
    answers = [clients[who].post(URL, ASKED, HTTP_IDEMPOTENCY_KEY="k1") for who in ("operator", "admin")]
    assert [answer.status_code for answer in answers] == [201, 201]


def test_a_refused_submission_leaves_its_key_unused(operator: APIClient, web: list[Target]) -> None:
    assert operator.post(URL, ASKED | {"targets": "x"}, HTTP_IDEMPOTENCY_KEY="k1").status_code == 400
    assert not AnsweredRequest.objects.exists()
    assert operator.post(URL, ASKED, HTTP_IDEMPOTENCY_KEY="k1").status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb"])
def test_a_key_is_printable_and_bounded(operator: APIClient, web: list[Target], key: str) -> None:
    assert operator.post(URL, ASKED, HTTP_IDEMPOTENCY_KEY=key).json()["code"] == "idempotency.key"


def test_the_detail_tells_the_whole_plan(operator: APIClient, submit_as: Submit, people: Any) -> None:
    run = submit_as(operator, rollout={"canary": 1})
    told = operator.get(f"{URL}{run.pk}/").json()
    assert told["plan"]["header"]["workflow"]["name"] == "touch-file"
    assert [leaf["leaf"]["name"] for leaf in told["plan"]["leaves"]] == ["web1", "web2", "web3"]
    assert told["inputs"]["parameters"] == {"file": "/tmp/x"}
    assert [(batch["batch"], batch["targets"]) for batch in told["batches"]] == [(0, 1), (1, 2)]
    assert told["participants"][0]["user"] == people["operator"].username
    assert (told["can_approve"], told["why_not"]["code"]) == (False, "approval.role")
    assert told["approvals"] == {"required": 1, "given": 0}
    assert told["last_seq"] == 1


def test_the_detail_says_who_may_approve(clients: dict[str, APIClient], submit_as: Submit) -> None:
    run = submit_as(clients["operator"])
    other = submit_as(clients["admin"])
    assert clients["approver"].get(f"{URL}{run.pk}/").json()["can_approve"] is True
    assert clients["admin"].get(f"{URL}{other.pk}/").json()["why_not"]["code"] == "approval.requester"
    assert clients["ai"].get(f"{URL}{run.pk}/").json()["why_not"]["code"] == "approval.token"


def test_runs_come_newest_first_and_are_chosen_by_status_and_workflow(
    operator: APIClient, submit_as: Submit
) -> None:
    first = submit_as(operator)
    second = submit_as(operator, definition=READ_UPTIME, parameters={})
    assert [run["id"] for run in operator.get(URL).json()["results"]] == [second.pk, first.pk]
    assert [run["id"] for run in operator.get(URL, {"status": "queued"}).json()["results"]] == [second.pk]
    chosen = operator.get(URL, {"workflow": "touch-file"}).json()["results"]
    assert [(run["id"], run["counts"]) for run in chosen] == [(first.pk, {"pending": 3})]
    assert operator.get(URL, {"status": "done"}).status_code == 400
    assert "blast_radius" not in chosen[0]  # it names every target


def test_the_list_costs_the_same_however_long_it_is(
    operator: APIClient, submit_as: Submit, django_assert_max_num_queries: Any
) -> None:
    for _ in range(5):
        submit_as(operator)
    with django_assert_max_num_queries(5):
        assert len(operator.get(URL).json()["results"]) == 5


def test_results_tell_each_step_of_each_target(
    operator: APIClient, submit_as: Submit, django_assert_max_num_queries: Any
) -> None:
    run = submit_as(operator)
    row = StepResult.objects.filter(run=run).first()
    assert row is not None
    for number in (1, 2):
        last = row.attempts.create(body="run", number=number, mode="envelope", become=False)
    StepResult.objects.filter(pk=row.pk).update(state="failed", exit_code=3, outputs={"version": "1"})
    with django_assert_max_num_queries(6):
        rows = operator.get(f"{URL}{run.pk}/results/").json()["results"]
    assert [found["target"] for found in rows] == ["web1", "web2", "web3"]
    assert set(rows[0]) == {
        *("target", "step", "state", "code", "message", "exit_code", "attempt", "started_at"),
        *("finished_at", "verified", "undone", "outputs"),
    }
    assert (rows[0]["attempt"], rows[0]["exit_code"], rows[1]["attempt"]) == (last.pk.hex, 3, None)
    failed = operator.get(f"{URL}{run.pk}/results/", {"state": "failed"}).json()["results"]
    assert [found["target"] for found in failed] == ["web1"]


def test_the_plan_is_told_in_pages(operator: APIClient, submit_as: Submit) -> None:
    run = submit_as(operator)
    first = operator.get(f"{URL}{run.pk}/plan/", {"limit": "2"}).json()
    second = operator.get(first["next"]).json()
    assert [leaf["target"] for leaf in first["results"] + second["results"]] == ["web1", "web2", "web3"]


def test_everybody_with_a_part_stands_in_one_table(operator: APIClient, submit_as: Submit) -> None:
    run = submit_as(operator)
    assert Participant.objects.filter(run=run).count() == 1


def test_the_blast_radius_says_how_much_of_each_group_and_what_is_locked(
    operator: APIClient, submit_as: Submit, web: list[Target]
) -> None:
    first = submit_as(operator)
    TargetLock.objects.create(key="target:x", run=first, run_target=first.targets.get(name="web2"))
    radius = operator.post(URL, ASKED | {"targets": "name:web1 "}).json()["blast_radius"]
    assert radius["by_group"] == {"web": {"targets": 1, "share": 0.333}}
    assert radius["locked"] == []
    assert operator.post(URL, ASKED).json()["blast_radius"]["locked"] == ["web2"]


def test_planning_costs_the_same_however_many_targets(
    operator: APIClient, web: list[Target], make_target: Any, django_assert_max_num_queries: Any
) -> None:
    for n in range(40):
        make_target(f"t{n}", groups=("web", f"g{n % 5}"))
    with django_assert_max_num_queries(40):
        assert operator.post(URL, ASKED, HTTP_IDEMPOTENCY_KEY="k").status_code == 201
