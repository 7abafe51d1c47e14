"""Start, approve, reject, cancel: who may, and when it is too late."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from django_q.models import OrmQ
from rest_framework.test import APIClient

from automation.models import ApiToken, JobRun, StepResult
from automation.roles import SCOPES
from tests.api.conftest import bearer, token_text

URL = "/api/v1/runs/"
Submit = Callable[..., JobRun]


def decide(client: APIClient, run: JobRun, verb: str = "approve", **body: Any) -> Any:
    return client.post(f"{URL}{run.pk}/{verb}/", {"plan_hash": run.plan_hash} | body)


def test_a_second_person_approves_and_the_run_is_queued(
    clients: dict[str, APIClient], submit_as: Submit
) -> None:
    run = submit_as(clients["operator"])
    answer = decide(clients["approver"], run, reason="looks right")
    assert (answer.status_code, answer.json()["status"]) == (200, "queued"), answer.content
    assert answer.json()["participants"][1]["reason"] == "looks right"
    assert OrmQ.objects.filter(key="control").count() == 1


def test_a_rejection_ends_the_run_and_no_row_stays_pending(
    clients: dict[str, APIClient], submit_as: Submit
) -> None:
    run = submit_as(clients["operator"])
    assert decide(clients["approver"], run, "reject", reason="no").json()["status"] == "rejected"
    assert set(StepResult.objects.values_list("state", flat=True)) == {"skipped"}


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_who_asked_decides_nothing(clients: dict[str, APIClient], submit_as: Submit, verb: str) -> None:
    run = submit_as(clients["admin"])
    answer = decide(clients["admin"], run, verb)
    assert (answer.status_code, answer.json()["code"]) == (403, "approval.requester")
    assert JobRun.objects.get().status == "awaiting_approval"


def test_a_superuser_who_asked_decides_nothing(people: dict[str, User], submit_as: Submit) -> None:
    root = User.objects.create_superuser("root")
    client = bearer(token_text(root))
    answer = decide(client, submit_as(client))
    assert (answer.status_code, answer.json()["code"]) == (403, "approval.requester")


def test_who_owns_the_submitting_token_decides_nothing(
    clients: dict[str, APIClient], people: dict[str, User], submit_as: Submit
) -> None:
    run = submit_as(bearer(token_text(people["admin"], "ai")))
    assert decide(clients["admin"], run).json()["code"] == "approval.requester"


def test_who_typed_the_sentence_decides_nothing(
    clients: dict[str, APIClient], people: dict[str, User], submit_as: Submit
) -> None:
    ai = bearer(token_text(people["admin"], "ai"))
    run = submit_as(ai, source={"kind": "ai", "requested_by": people["approver"].username})
    assert decide(clients["approver"], run).json()["code"] == "approval.requester"


@pytest.mark.parametrize("kind", ["ai", "service"])
def test_no_machine_decides_whatever_its_scopes(
    clients: dict[str, APIClient], people: dict[str, User], submit_as: Submit, kind: str
) -> None:
    run = submit_as(clients["operator"])
    text = token_text(people["approver"], kind, ["runs:read"])
    # As somebody with a hand in the database might have it.
    ApiToken.objects.filter(kind=kind).update(scopes=sorted(SCOPES))
    for verb in ("approve", "reject"):
        answer = decide(bearer(text), run, verb)
        assert (answer.status_code, answer.json()["code"]) == (403, "approval.token")
    inside: dict[str, Any] = {
        "opsportal.principal": people["approver"],
        "opsportal.auth": ApiToken.objects.valid(text),
    }
    answer = APIClient().post(f"{URL}{run.pk}/approve/", {"plan_hash": run.plan_hash}, **inside)
    assert answer.status_code == 403
    assert JobRun.objects.get(pk=run.pk).status == "awaiting_approval"


@pytest.mark.parametrize("who", ["viewer", "operator"])
def test_deciding_needs_the_role(clients: dict[str, APIClient], submit_as: Submit, who: str) -> None:
    run = submit_as(clients["admin"])
    answer = decide(clients[who], run)
    assert (answer.status_code, answer.json()["code"]) == (403, "approval.role")


def test_another_plan_is_not_decided(clients: dict[str, APIClient], submit_as: Submit) -> None:
    run = submit_as(clients["operator"])
    answer = decide(clients["approver"], run, plan_hash="0" * 64)
    assert (answer.status_code, answer.json()["code"]) == (409, "plan.hash_mismatch")
    assert clients["approver"].post(f"{URL}{run.pk}/approve/", {}).status_code == 400


def test_a_decided_run_is_not_decided_again(clients: dict[str, APIClient], submit_as: Submit) -> None:
    run = submit_as(clients["operator"])
    decide(clients["approver"], run)
    answer = decide(clients["admin"], run, "reject")
    assert (answer.status_code, answer.json()["code"]) == (409, "run.state")


def test_nobody_decides_twice(clients: dict[str, APIClient], submit_as: Submit) -> None:
    run = submit_as(clients["operator"])
    JobRun.objects.update(approvals_required=2)
    assert decide(clients["approver"], run).json()["status"] == "awaiting_approval"
    answer = decide(clients["approver"], run)
    assert (answer.status_code, answer.json()["code"]) == (409, "approval.twice")
    assert decide(clients["admin"], run).json()["status"] == "queued"


def test_too_late_is_too_late(clients: dict[str, APIClient], submit_as: Submit) -> None:
    run = submit_as(clients["operator"])
    JobRun.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert decide(clients["approver"], run).json()["code"] == "run.expired"


def test_a_held_run_is_started_by_who_asked_for_it(clients: dict[str, APIClient], submit_as: Submit) -> None:
    run = submit_as(clients["operator"], hold=True)
    assert run.status == "held"
    assert decide(clients["admin"], run, "start").json()["code"] == "run.not_yours"
    assert decide(clients["operator"], run, "start", plan_hash="x").status_code == 409
    assert decide(clients["operator"], run, "start").json()["status"] == "awaiting_approval"
    assert decide(clients["operator"], run, "start").status_code == 409


def test_a_waiting_run_is_cancelled_at_once(clients: dict[str, APIClient], submit_as: Submit) -> None:
    run = submit_as(clients["operator"])
    answer = clients["approver"].post(f"{URL}{run.pk}/cancel/", {"reason": "changed our minds"})
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert clients["approver"].post(f"{URL}{run.pk}/cancel/").status_code == 409
