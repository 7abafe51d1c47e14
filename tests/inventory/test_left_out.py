"""Who is left out of a plan, and that the plan says so."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from automation.models import JobRun
from tests.api.conftest import READ_UPTIME
from tests.inventory.conftest import group, target

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(clients: dict[str, APIClient]) -> APIClient:
    group("web")
    target("web1", "web")
    target("web2", "web", enabled=False)
    target("web3", "web", maintenance=True, maintenance_reason="new disks")
    target("web4", "web", maintenance=True, maintenance_until=timezone.now() - timedelta(hours=1))
    return clients["operator"]


def submitted(client: APIClient, **body: Any) -> Any:
    return client.post("/api/v1/runs/", {"definition": READ_UPTIME, "targets": "group:web", **body})


def test_a_plan_leaves_out_disabled_targets_and_those_in_maintenance_and_says_why(
    operator: APIClient,
) -> None:
    answer = submitted(operator)
    assert answer.status_code == 201, answer.content
    assert [(each["target"], each["code"]) for each in answer.json()["blast_radius"]["left_out"]] == [
        ("web2", "target.disabled"),
        ("web3", "target.maintenance"),
    ]
    run = JobRun.objects.get()
    assert list(run.targets.values_list("name", flat=True)) == ["web1", "web4"]
    header = json.loads(run.header)
    assert header["left_out"][1] == {
        "target": "web3",
        "code": "target.maintenance",
        "why": "in maintenance: new disks",
    }
    assert "2 left out" in run.events.get(seq=1).data["message"]


def test_a_submission_may_take_targets_in_maintenance_but_never_disabled_ones(operator: APIClient) -> None:
    assert submitted(operator, include_maintenance=True).status_code == 201
    run = JobRun.objects.get()
    assert list(run.targets.values_list("name", flat=True)) == ["web1", "web3", "web4"]
    assert json.loads(run.header)["include_maintenance"] is True


def test_a_query_all_of_whose_targets_are_left_out_is_told_each_reason(operator: APIClient) -> None:
    answer = submitted(operator, targets="web2 or web3")
    assert (answer.status_code, answer.json()["code"]) == (400, "targets.left_out")
    assert "web2 (disabled), web3 (in maintenance: new disks)" in answer.json()["detail"]
    assert "include_maintenance" in answer.json()["detail"]


def test_each_leaf_says_why_its_target_is_in(operator: APIClient) -> None:
    group("by-query", query="name:web1")
    submitted(operator, targets="(group:by-query or tag:x) -name:web9")
    leaf = json.loads(JobRun.objects.get().targets.get().leaf)
    assert leaf["why"] == ["in group by-query by its query name:web1", "not left out by -name:web9"]
    assert leaf["groups"] == ["by-query", "web"]
