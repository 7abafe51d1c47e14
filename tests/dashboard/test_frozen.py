"""A frozen portal says so on each page, and takes nothing."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from automation import tasks
from automation.ask_test import ask_test
from automation.models import Installation, JobRun, Target, TargetTest
from automation.workers.sweeper import Sweeper
from tests.api.conftest import READ_UPTIME, session

WHY = "This portal was restored from a backup of yesterday."


@pytest.fixture
def frozen(db: None) -> None:
    Installation.freeze(WHY)


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("page", ["overview", "runs", "targets", "workflows"])
def test_each_page_says_that_the_portal_is_frozen(people: dict[str, User], page: str) -> None:
    client = Client()
    client.force_login(people["operator"])
    assert WHY in client.get(reverse(page)).content.decode()


@pytest.mark.usefixtures("frozen")
def test_the_administration_pages_say_it_too(people: dict[str, User]) -> None:
    client = Client()
    client.force_login(people["admin"])
    assert "Frozen" in client.get(reverse("admin:index")).content.decode()


@pytest.mark.usefixtures("frozen")
def test_a_submission_is_refused_with_the_reason(people: dict[str, User], web: list[Target]) -> None:
    body = {"definition": READ_UPTIME, "targets": "group:web"}
    answer = session(people["operator"]).post("/api/v1/runs/", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "portal.frozen")
    assert WHY in answer.json()["detail"]
    assert "manage.py unfreeze" in answer.json()["detail"]


def test_workers_take_nothing_until_it_is_unfrozen(people: dict[str, User], web: list[Target]) -> None:
    body = {"definition": READ_UPTIME, "targets": "group:web"}
    number = session(people["operator"]).post("/api/v1/runs/", body).json()["id"]
    Installation.freeze(WHY)
    Sweeper().sweep()
    tasks.advance(number)
    assert JobRun.objects.get(pk=number).status == "queued"
    Installation.unfreeze()
    tasks.advance(number)
    assert JobRun.objects.get(pk=number).status == "running"


@pytest.mark.usefixtures("frozen")
def test_no_target_is_tested(people: dict[str, User], web: list[Target]) -> None:
    test = ask_test(web[0], by=people["operator"])
    tasks.test_target(test.pk)
    assert TargetTest.objects.get(pk=test.pk).code == "portal.frozen"
