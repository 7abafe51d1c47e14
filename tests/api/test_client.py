"""The client and the proposals against the real API, in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_errors import ConflictError, InvalidRequestError, NotPermittedError
from aiworkflows.in_process import in_process_client
from automation.models import ApiToken, Attempt, AttemptState, JobRun, OutputChunk, StepResult, Target
from tests.api.conftest import READ_UPTIME, TOUCH, bearer, token_text

ASKED: dict[str, Any] = {"targets": "group:web", "parameters": {"file": "/tmp/x"}}


def client_of(people: dict[str, User], who: str, kind: str = "person") -> AutomationClient:
    token = ApiToken.objects.valid(token_text(people[who], kind))
    return in_process_client(people[who], auth=token)


def test_a_run_is_submitted_read_approved_and_followed(people: dict[str, User], web: list[Target]) -> None:
    ai, approver = client_of(people, "operator", "ai"), client_of(people, "approver")
    run = ai.submit(TOUCH, **ASKED)
    assert (run.status, run.approvals_required, run.counts) == ("awaiting_approval", 1, {"pending": 3})
    assert [row.target for row in ai.results(run.id)] == ["web1", "web2", "web3"]
    with pytest.raises(NotPermittedError):
        ai.approve(run.id, run.plan_hash)
    with pytest.raises(ConflictError):
        approver.approve(run.id, "0" * 64)
    assert approver.approve(run.id, run.plan_hash, "fine").status == "queued"
    assert client_of(people, "admin").cancel(run.id).raw["cancel_requested"] is True


def test_the_story_of_a_run_that_is_over_ends(people: dict[str, User], web: list[Target]) -> None:
    client = client_of(people, "admin")
    run = client.submit(TOUCH, **ASKED)
    client.cancel(run.id)
    assert client.wait(run.id, 5).status == "cancelled"
    assert [event.seq for event in client.events(run.id)] == [1, 2, 3]


def test_output_is_read_past_gaps(people: dict[str, User], web: list[Target]) -> None:
    client = client_of(people, "admin")
    run = client.submit(TOUCH, **ASKED)
    result = StepResult.objects.get(run=run.id, run_target__name="web1")
    attempt = Attempt.objects.create(
        result=result, body="run", number=1, mode="envelope", become=False, state=AttemptState.ENDED
    )
    for offset, data in ((0, b"head"), (50, b"tail")):
        OutputChunk.objects.create(
            attempt=attempt, stream="stdout", offset=offset, end=offset + len(data), data=data
        )
    assert b"".join(client.logs(run.id, "web1", "touch")) == b"headtail"


def test_a_run_is_paused_and_resumed(people: dict[str, User], web: list[Target]) -> None:
    client = client_of(people, "admin")
    run = client.submit(READ_UPTIME, targets="group:web")
    assert client.pause(run.id, reason="look").status == "paused"
    assert [found.id for found in client.runs(status="paused")] == [run.id]
    assert client.resume(run.id).status in {"queued", "running"}


def test_a_command_is_submitted_as_a_run(people: dict[str, User], web: list[Target]) -> None:
    Target.objects.filter(name="web1").update(maintenance=True)
    client = client_of(people, "operator")
    asked: dict[str, Any] = {"targets": "group:web", "effect": "read", "timeout": "30s"}
    assert client.submit_command("uptime", **asked).raw["targets"] == 2
    assert client.submit_command("uptime", **asked, include_maintenance=True).raw["targets"] == 3


def test_a_dry_run_has_a_forecast(people: dict[str, User], web: list[Target]) -> None:
    client = client_of(people, "operator")
    dry = client.submit(TOUCH, **ASKED, dry_run=True)
    forecast = list(client.forecast(dry.id))
    assert [row.target for row in forecast] == ["web1", "web2", "web3"]
    assert [name for names in forecast[0].steps.values() for name in names] == ["touch"]
    with pytest.raises(InvalidRequestError):
        list(client.forecast(client.submit(TOUCH, **ASKED).id))


def test_a_file_is_stored_found_and_read(people: dict[str, User]) -> None:
    client = client_of(people, "operator")
    stored = client.store_file("motd", b"hi\xff\n")
    assert (stored.size, [found.id for found in client.files(name="motd")]) == (4, [stored.id])
    assert client.file_content(stored.id) == b"hi\xff\n"
    assert list(client.files(run=1)) == []


def test_what_is_wrong_is_a_typed_error(people: dict[str, User], web: list[Target]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        client_of(people, "admin").submit(TOUCH, targets="group:wbe", parameters={"file": "x"})
    assert caught.value.code == "targets.none"


def test_a_list_is_read_over_all_its_pages(
    people: dict[str, User], make_target: Callable[..., Target]
) -> None:
    for n in range(120):
        make_target(f"t{n:03}", tags=["odd" if n % 2 else "even"])
    assert len(list(client_of(people, "viewer").targets())) == 120
    assert len(list(client_of(people, "viewer").targets("tag:odd"))) == 60


def test_a_sentence_becomes_one_run_whose_author_cannot_approve(
    people: dict[str, User], web: list[Target], clients: dict[str, APIClient]
) -> None:
    door = bearer(token_text(people["operator"], "ai"))
    asked = door.post("/api/v1/proposals/", {"request": "restart nginx on web servers"})
    assert asked.status_code == 201, asked.content
    proposal = asked.json()
    assert proposal["status"] == "ready", proposal
    answers = [door.post(f"/api/v1/proposals/{proposal['id']}/submit/", {}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201], answers[0].content
    run = JobRun.objects.get()
    assert [answer.json()["id"] for answer in answers] == [run.pk, run.pk]
    assert (run.source["requested_by"], run.author_kind) == (people["operator"].username, "ai")
    decided = clients["approver"].post(f"/api/v1/runs/{run.pk}/approve/", {"plan_hash": run.plan_hash})
    assert decided.json()["status"] == "queued"


def test_proposals_are_not_for_strangers(clients: dict[str, APIClient]) -> None:
    for who in ("anonymous", "revoked", "expired"):
        assert clients[who].get("/api/v1/proposals/").status_code == 401
    assert clients["mallory"].post("/api/v1/proposals/", {"request": "x"}).status_code == 403
