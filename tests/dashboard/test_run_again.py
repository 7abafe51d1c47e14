"""The form that runs a finished run again."""

from __future__ import annotations

import html
import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from automation.definitions.query import parse
from automation.definitions.schema import load_workflow
from automation.models import JobRun, TargetLock
from automation.submit import Submission, submit
from tests.api.conftest import person
from tests.dashboard.run_pages import UPDATE, add_targets, move, set_result, submit_update

pytestmark = pytest.mark.django_db


@pytest.fixture
def olivia(db: None) -> User:
    return person("olivia", "operator")


@pytest.fixture
def client(olivia: User) -> Client:
    client = Client()
    client.force_login(olivia)
    return client


@pytest.fixture
def ended(olivia: User) -> JobRun:
    """web1 is good, web2 failed, and how web3 ended is unknown."""
    add_targets(3, environment="dev")
    run = submit_update(olivia)
    run.targets.filter(name="web1").update(good=True)
    set_result(run, "web1", "look", "succeeded")
    set_result(run, "web2", "look", "succeeded")
    set_result(run, "web2", "update", "failed")
    set_result(run, "web3", "look", "succeeded")
    set_result(run, "web3", "update", "unknown")
    run.refresh_from_db()
    move(run, "partial")
    return run


def words(content: bytes) -> str:
    """What the page says, without its tags."""
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", content.decode())).split())


def test_the_form_tells_where_it_failed_and_what_may_be_done_twice(client: Client, ended: JobRun) -> None:
    said = words(client.get(f"/runs/{ended.pk}/again/").content)
    assert "Only where it did not succeed · 2 of 3 targets web2 Failed update web3 Unknown update" in said
    assert "Everywhere · 3 targets" in said
    assert "How it ended is unknown on web3" in said
    assert "package nginx" in said


def test_targets_that_are_still_locked_are_named_with_what_frees_them(client: Client, ended: JobRun) -> None:
    TargetLock.objects.create(key="k", run=ended, run_target=ended.targets.get(name="web3"))
    said = words(client.get(f"/runs/{ended.pk}/again/").content)
    assert "web3 is still locked: changes there end blocked until the portal finds out" in said
    assert "manage.py release_lock" in said


def test_secrets_are_asked_for_and_stand_in_no_page(client: Client, olivia: User) -> None:
    add_targets(1, environment="dev")
    declared = UPDATE.replace("parameters:", "parameters:\n  token: {type: secret, min: 8, required: false}")
    given = {"package": "nginx", "token": "before-it-4711"}
    workflow = load_workflow(declared)
    first = submit(Submission(workflow=workflow, query=parse("all"), submitter=olivia, parameters=given))
    move(first, "failed")
    form = client.get(f"/runs/{first.pk}/again/").content.decode()
    assert (
        'type="password" id="parameter-token" name="parameter-token" autocomplete="new-password" required'
        in form
    )
    sent = {"targets": "all", "hold": "1"}
    for wrong in ("", "short"):
        answer = client.post(f"/runs/{first.pk}/again/", sent | {"parameter-token": wrong})
        assert (answer.status_code, b'aria-invalid="true"' in answer.content) == (422, True)
        assert b"before-it-4711" not in answer.content
    made = client.post(f"/runs/{first.pk}/again/", sent | {"parameter-token": "another-4711"}, follow=True)
    assert JobRun.objects.get(repeats=first).secrets.count() == 1
    assert b"another-4711" not in made.content


def test_it_is_submitted_where_it_failed_and_held_for_a_look(client: Client, ended: JobRun) -> None:
    sent = client.post(
        f"/runs/{ended.pk}/again/", {"targets": "failed", "hold": "1", "reason": "disk is free"}
    )
    made = JobRun.objects.get(repeats=ended)
    assert (sent.status_code, sent.headers["Location"]) == (302, f"/runs/{made.pk}/")
    assert [target.name for target in made.targets.all()] == ["web2", "web3"]
    assert (made.status, made.reason, made.submitted_by.username) == ("held", "disk is free", "olivia")


def test_it_begins_at_the_chosen_step_and_the_plan_says_so(client: Client, ended: JobRun) -> None:
    assert "look: every step" in words(client.get(f"/runs/{ended.pk}/again/").content)
    client.post(f"/runs/{ended.pk}/again/", {"targets": "failed", "hold": "1", "from_step": "update"})
    made = JobRun.objects.get(repeats=ended)
    assert {row.step for row in made.results.all()} == {"update"}
    assert "where it was not good, from the step update on" in words(client.get(f"/runs/{made.pk}/").content)


def test_a_step_that_is_no_more_is_told_and_the_form_kept(client: Client, ended: JobRun) -> None:
    answer = client.post(
        f"/runs/{ended.pk}/again/", {"targets": "all", "from_step": "updat", "reason": "disk is free"}
    )
    said = words(answer.content)
    assert answer.status_code == 422
    assert "There is no step 'updat'; did you mean 'update'?" in said
    assert ("disk is free" in said, JobRun.objects.count()) == (True, 1)


def test_both_runs_lead_to_each_other_and_the_plan_names_what_may_be_done_twice(
    client: Client, ended: JobRun
) -> None:
    client.post(f"/runs/{ended.pk}/again/", {"targets": "failed", "hold": "1"})
    made = JobRun.objects.get(repeats=ended)
    plan = client.get(f"/runs/{made.pk}/").content
    assert f'<a href="/runs/{ended.pk}/">#{ended.pk}</a> again, where it was not good' in plan.decode()
    assert "may be done twice on web3" in words(plan)
    before = client.get(f"/runs/{ended.pk}/").content.decode()
    assert f'Run again as <a href="/runs/{made.pk}/">#{made.pk}</a>' in before
    assert f'href="/runs/{ended.pk}/again/"' in before


def test_a_run_that_is_not_over_is_shown_and_not_repeated(client: Client, olivia: User) -> None:
    add_targets(1, environment="dev")
    run = submit_update(olivia)
    answer = client.get(f"/runs/{run.pk}/again/", follow=True)
    assert answer.redirect_chain == [(f"/runs/{run.pk}/", 302)]
    assert "is not over yet" in words(answer.content)


def test_what_is_wrong_is_told_and_what_was_typed_is_kept(client: Client, ended: JobRun) -> None:
    ended.targets.update(good=True)
    wrong = client.post(f"/runs/{ended.pk}/again/", {"targets": "failed", "reason": "typed with care"})
    assert wrong.status_code == 422
    assert f"Every target of run {ended.pk} is good" in words(wrong.content)
    assert "typed with care" in words(wrong.content)
    nowhere = client.post(f"/runs/{ended.pk}/again/", {})
    assert "Choose where it runs again." in words(nowhere.content)
    assert JobRun.objects.count() == 1


def test_who_may_only_look_sees_why_and_submits_nothing(ended: JobRun) -> None:
    client = Client()
    client.force_login(person("vera", "viewer"))
    assert "This needs the role operator" in words(client.get(f"/runs/{ended.pk}/again/").content)
    assert client.post(f"/runs/{ended.pk}/again/", {"targets": "all"}).status_code == 403
    assert JobRun.objects.count() == 1
