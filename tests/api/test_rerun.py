"""A run once more by API: the same on the same targets, planned and decided anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from automation.models import Group, JobRun, ResultState, StepResult, Target
from tests.api.conftest import TOUCH, bearer, token_text

Submit = Callable[..., JobRun]
IN_TURN = {
    "name": "in-turn",
    "parameters": {"names": {"type": "list"}, "next": {"type": "target", "required": False}},
    "steps": [{"name": "touch", "for_each": "names", "run": {"bash": 'touch "$item"'}}],
}
WITH_TOKEN = TOUCH | {
    "parameters": {"file": {"type": "string"}, "token": {"type": "secret"}},
    "steps": [{"name": "use", "run": {"bash": 'echo "$token" >"$file"'}}],
}
IN_STEPS: dict[str, Any] = TOUCH | {
    "name": "in-steps",
    "parameters": {},
    "steps": [
        {"name": "fetch", "run": {"bash": "true"}},
        {"name": "switch", "run": {"bash": "true"}},
        {"name": "look", "effect": "read", "run": {"bash": "true"}},
    ],
}
SECRET = "hunter2-and-more"


@pytest.fixture
def operator(clients: dict[str, APIClient]) -> APIClient:
    return clients["operator"]


def end(run: JobRun, **states: str) -> JobRun:
    """As workers leave it: every target good but those named, whose step ended in that state."""
    run.refresh_from_db()
    run.targets.update(good=True, state="done")
    run.results.update(state=ResultState.SUCCEEDED)
    for name, state in states.items():
        run.targets.filter(name=name).update(good=False)
        StepResult.objects.filter(run=run, run_target__name=name).update(state=state)
    run.move("partial" if states else "succeeded")
    return run


def again(client: APIClient, run: JobRun, *, key: str = "", **body: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(f"/api/v1/runs/{run.pk}/rerun/", body, headers=headers)


def names(run: JobRun) -> list[str]:
    return list(run.targets.order_by("position").values_list("name", flat=True))


def test_a_run_again_is_the_same_with_a_plan_and_approvals_of_its_own(
    operator: APIClient, clients: dict[str, APIClient], submit_as: Submit
) -> None:
    rollout = {"canary": 2, "batches": ["100%"], "max_failures": 1}
    first = submit_as(
        operator, definition=IN_TURN, rollout=rollout, parameters={"names": ["a", "b"], "next": "web2"}
    )
    approval = {"plan_hash": first.plan_hash}
    assert clients["approver"].post(f"/api/v1/runs/{first.pk}/approve/", approval).status_code == 200
    end(first)
    answer = again(operator, first, reason="once more")
    assert answer.status_code == 201, answer.content
    told = answer.json()
    second = JobRun.objects.get(pk=told["id"])
    assert (told["status"], told["approvals_required"], told["reason"]) == (
        "awaiting_approval",
        1,
        "once more",
    )
    before, after = (operator.get(f"/api/v1/runs/{run.pk}/").json() for run in (first, second))
    for key in ("workflow", "parameters", "rollout", "query", "files"):
        assert after["plan"]["header"][key] == before["plan"]["header"][key]
    assert names(second) == names(first)
    assert after["approvals"] == {"required": 1, "given": 0}
    assert second.plan_hash != first.plan_hash


def test_both_runs_tell_of_each_other(operator: APIClient, submit_as: Submit) -> None:
    first = end(submit_as(operator))
    second = again(operator, first).json()["id"]
    shown = operator.get(f"/api/v1/runs/{second}/").json()
    assert shown["repeats"] == {
        "run": first.pk,
        "targets": "all",
        "unknown": [],
        "from_step": None,
        "unready": [],
    }
    assert (shown["reason"], shown["repeated_by"]) == (f"Run {first.pk} again", [])
    assert operator.get(f"/api/v1/runs/{first.pk}/").json()["repeated_by"] == [second]
    listed = {run["id"]: run["repeats"] for run in operator.get("/api/v1/runs/").json()["results"]}
    assert (listed[first.pk], listed[second]["run"]) == (None, first.pk)


def test_where_it_failed_means_every_target_that_is_not_good_and_names_the_unknown(
    operator: APIClient, submit_as: Submit
) -> None:
    first = end(submit_as(operator), web1="failed", web3="unknown")
    told = again(operator, first, targets="failed").json()
    assert told["repeats"] == {
        "run": first.pk,
        "targets": "failed",
        "unknown": ["web3"],
        "from_step": None,
        "unready": [],
    }
    second = JobRun.objects.get(pk=told["id"])
    assert names(second) == ["web1", "web3"]
    leaves = operator.get(f"/api/v1/runs/{second.pk}/plan/").json()["results"]
    assert [leaf["leaf"]["why"] for leaf in leaves] == [
        [f"not good in run {first.pk}"],
        [f"how it ended in run {first.pk} is unknown: it may be done twice here"],
    ]


def test_it_is_for_the_same_targets_and_says_which_are_no_more(
    operator: APIClient, submit_as: Submit, make_target: Callable[..., Target]
) -> None:
    first = end(submit_as(operator))
    Target.objects.get(name="web1").delete()
    Target.objects.filter(name="web2").update(name="renamed")
    Target.objects.filter(name="web3").update(enabled=False)
    Group.objects.get(name="web").targets.add(make_target("web4"))
    told = again(operator, first).json()
    assert names(JobRun.objects.get(pk=told["id"])) == ["renamed"]
    assert {out["target"]: out["code"] for out in told["blast_radius"]["left_out"]} == {
        "web1": "target.gone",
        "web3": "target.disabled",
    }


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "parameters.secret_again"),
        ({"token": ""}, "parameters.secret_again"),
        ({"token": SECRET, "file": "/tmp/y"}, "parameters.not_secret"),
    ],
)
def test_secrets_are_asked_for_by_name_and_nothing_else_is_taken(
    operator: APIClient, submit_as: Submit, given: dict[str, str], code: str
) -> None:
    first = end(
        submit_as(operator, definition=WITH_TOKEN, parameters={"file": "/tmp/x", "token": SECRET}),
        web1="failed",
    )
    refused = again(operator, first, targets="failed", parameters=given)
    assert (refused.status_code, refused.json()["code"]) == (400, code)
    wrong = "file" if code == "parameters.not_secret" else "token"
    assert refused.json()["errors"][0]["path"] == f"parameters.{wrong}"
    assert SECRET not in refused.content.decode()
    assert JobRun.objects.count() == 1


def test_a_secret_given_again_is_kept_for_the_new_run_and_shown_to_nobody(
    operator: APIClient, submit_as: Submit
) -> None:
    first = end(
        submit_as(operator, definition=WITH_TOKEN, parameters={"file": "/tmp/x", "token": "before-it"})
    )
    made = again(operator, first, parameters={"token": SECRET})
    assert made.status_code == 201, made.content
    second = JobRun.objects.get(pk=made.json()["id"])
    assert [row.opened().value.reveal() for row in second.secrets.all()] == [SECRET]
    assert SECRET not in made.content.decode() + operator.get(f"/api/v1/runs/{second.pk}/").content.decode()


@pytest.mark.parametrize(
    ("over", "body", "status", "code"),
    [
        (False, {}, 409, "run.not_over"),
        (True, {"targets": "failed"}, 400, "targets.none_failed"),
        (True, {"targets": "some"}, 400, "invalid"),
        (True, {"rollout": {}}, 400, "invalid"),
    ],
)
def test_what_cannot_be_repeated_is_refused_with_the_reason(
    operator: APIClient, submit_as: Submit, over: bool, body: dict[str, Any], status: int, code: str
) -> None:
    first = submit_as(operator)
    if over:
        end(first)
    refused = again(operator, first, **body)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert JobRun.objects.count() == 1


def test_a_run_again_begins_at_the_step_it_is_told_and_so_does_its_own_repetition(
    operator: APIClient, submit_as: Submit
) -> None:
    first = end(submit_as(operator, definition=IN_STEPS, parameters={}), web2="failed")
    told = again(operator, first, targets="failed", from_step="switch").json()
    second = JobRun.objects.get(pk=told["id"])
    assert told["repeats"]["from_step"] == "switch"
    assert [row.step for row in second.results.order_by("step_index")] == ["switch", "look"]
    header = operator.get(f"/api/v1/runs/{second.pk}/").json()["plan"]["header"]
    assert [step["name"] for step in header["workflow"]["steps"]] == ["switch", "look"]
    third = JobRun.objects.get(pk=again(operator, end(second)).json()["id"])
    assert [row.step for row in third.results.order_by("step_index")] == ["switch", "look"]


def test_targets_on_which_a_step_before_did_not_succeed_are_named(
    operator: APIClient, submit_as: Submit
) -> None:
    steps = [{**IN_STEPS["steps"][0], "for_each": ["a", "b"]}, *IN_STEPS["steps"][1:]]
    first = end(submit_as(operator, definition=IN_STEPS | {"steps": steps}, parameters={}))
    states = {("web1", "fetch [b]"): "skipped", ("web2", "fetch [a]"): "failed", ("web3", "switch"): "failed"}
    for (target, step), state in states.items():
        first.results.filter(run_target__name=target, step=step).update(state=state, code="run.cancelled")
    told = again(operator, first, from_step="switch").json()
    assert told["repeats"]["unready"] == ["web1", "web2"]
    leaves = operator.get(f"/api/v1/runs/{told['id']}/plan/").json()["results"]
    assert leaves[1]["leaf"]["why"][1] == f"a step before 'switch' did not succeed here in run {first.pk}"
    assert len(leaves[2]["leaf"]["why"]) == 1


def test_a_stored_workflow_begins_at_the_step_in_its_version(
    operator: APIClient, clients: dict[str, APIClient], web: list[Target]
) -> None:
    assert clients["admin"].post("/api/v1/workflows/", {"definition": IN_STEPS}).status_code == 201
    made = operator.post("/api/v1/runs/", {"workflow": "in-steps", "targets": "all"})
    first = end(JobRun.objects.get(pk=made.json()["id"]))
    second = end(JobRun.objects.get(pk=again(operator, first, from_step="look").json()["id"]))
    third = JobRun.objects.get(pk=again(operator, second).json()["id"])
    for run in (second, third):
        assert set(run.results.values_list("step", flat=True)) == {"look"}
        assert run.workflow_version == first.workflow_version


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("swich", "there is no step 'swich'; did you mean 'switch'?"),
        ("look", None),
        (
            "tidy",
            "the condition of step 'tidy' looks at 'fetch', which would not run; start there or before it",
        ),
        (
            "switch",
            "the condition of step 'tidy' looks at 'fetch', which would not run; start there or before it",
        ),
        (
            "guess",
            (
                "the condition of step 'guess' looks at steps whose names only a run knows;"
                " start there or before it"
            ),
        ),
    ],
)
def test_a_step_that_cannot_be_begun_at_is_refused_with_what_is_in_its_way(
    operator: APIClient, submit_as: Submit, step: str, says: str | None
) -> None:
    steps = IN_STEPS["steps"]
    if step in ("tidy", "switch"):
        steps = [*steps, {"name": "tidy", "when": 'steps["fetch"].exit_code == 0', "run": {"bash": "true"}}]
    if step == "guess":
        steps = [
            *steps,
            {"name": "guess", "when": "steps[target.name].exit_code == 0", "run": {"bash": "true"}},
        ]
    first = end(submit_as(operator, definition=IN_STEPS | {"steps": steps}, parameters={}))
    answer = again(operator, first, from_step=step)
    if says is None:
        assert answer.status_code == 201
        return
    assert (answer.status_code, answer.json()["code"]) == (400, "definition.invalid")
    assert [(each["path"], each["message"]) for each in answer.json()["errors"]] == [("from_step", says)]
    assert JobRun.objects.count() == 1


def test_trust_is_carried_over_only_downwards(
    operator: APIClient, submit_as: Submit, people: dict[str, User], clients: dict[str, APIClient]
) -> None:
    """What an AI wrote stays so, and whoever asked for the first run does not approve the second."""
    asker = people["approver"]
    first = end(submit_as(clients["ai"], source={"kind": "ai", "model": "m", "requested_by": asker.username}))
    told = again(operator, first).json()
    assert (told["author_kind"], told["status"]) == ("ai", "awaiting_approval")
    refused = clients["approver"].post(
        f"/api/v1/runs/{told['id']}/approve/", {"plan_hash": told["plan_hash"]}
    )
    assert refused.status_code == 403
    assert "runs:submit" not in refused.content.decode()


@pytest.mark.parametrize(("who", "status"), [("anonymous", 401), ("mallory", 403), ("viewer", 403)])
def test_it_needs_the_right_to_submit(
    operator: APIClient, clients: dict[str, APIClient], submit_as: Submit, who: str, status: int
) -> None:
    first = end(submit_as(operator))
    assert again(clients[who], first).status_code == status
    assert JobRun.objects.count() == 1


def test_a_token_that_only_reads_cannot(
    operator: APIClient, people: dict[str, User], submit_as: Submit
) -> None:
    first = end(submit_as(operator))
    reads = bearer(token_text(people["operator"], scopes=["runs:read"]))
    assert again(reads, first).status_code == 403


def test_one_key_makes_one_run_and_is_of_one_run(operator: APIClient, submit_as: Submit) -> None:
    first, other = end(submit_as(operator)), end(submit_as(operator))
    made, replayed = again(operator, first, key="k"), again(operator, first, key="k")
    assert (made.status_code, replayed.status_code) == (201, 200)
    assert made.json()["id"] == replayed.json()["id"]
    assert again(operator, other, key="k").json()["code"] == "idempotency.mismatch"
    assert JobRun.objects.count() == 3


def test_a_run_again_can_be_run_again(operator: APIClient, submit_as: Submit) -> None:
    first = end(submit_as(operator, definition=IN_TURN, parameters={"names": ["a", "b"]}), web2="failed")
    second = end(JobRun.objects.get(pk=again(operator, first, targets="failed").json()["id"]))
    third = again(operator, second).json()
    assert third["repeats"]["run"] == second.pk
    assert names(JobRun.objects.get(pk=third["id"])) == ["web2"]
