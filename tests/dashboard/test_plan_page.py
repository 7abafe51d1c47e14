"""What somebody who decides on a run reads, and what his decision does."""

from __future__ import annotations

import html
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from automation.dashboard.plan import lasting, rollout_words
from automation.dashboard.plan_targets import why
from automation.definitions.query import parse
from automation.host_key_lines import fingerprint
from automation.models import JobRun, Participant, Target
from credentials.models import Credential
from tests.api.conftest import person
from tests.dashboard.run_pages import HOST_KEY, add_targets, move, submit_update

pytestmark = pytest.mark.django_db

LEAF = {
    "name": "web-07",
    "groups": ["web servers", "front"],
    "tags": ["eu", "web"],
    "environment": "prod",
    "platform": "linux",
    "zone": "",
    "variables": {"role": "frontend"},
}


@pytest.fixture
def ana(db: None) -> User:
    return person("ana", "operator")


@pytest.fixture
def ben(db: None) -> User:
    return person("ben", "approver")


@pytest.fixture
def run(ana: User) -> JobRun:
    add_targets(3, trusted=2)
    source = {"kind": "ai", "prompt": "patch nginx <now>", "model": "llama3.1"}
    return submit_update(ana, 'group:"web servers" env:prod', source=source, reason="CHG-1042")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def text_of(client: Client, run: JobRun, page: str = "") -> str:
    answer = client.get(f"/runs/{run.pk}/{page}")
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def decide(client: Client, run: JobRun, verb: str = "approve", **fields: str) -> tuple[int, str]:
    answer = client.post(f"/runs/{run.pk}/{verb}/", {"plan_hash": run.plan_hash} | fields)
    return answer.status_code, html.unescape(answer.content.decode())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("all", ["all targets were asked for"]),
        ('group:"web servers" env:prod', ["in group web servers", "environment prod"]),
        ("name:web-*", ["name web-07 (matches name:web-*)"]),
        ("tag:*e*", ["tag eu, web (matches tag:*e*)"]),
        ("os:linux var:role=frontend", ["platform linux", "variable role is frontend"]),
        ("-name:db* group:front", ["in group front", "not left out by -name:db*"]),
    ],
)
def test_the_reason_a_target_is_in_is_what_the_query_found_in_its_leaf(
    query: str, expected: list[str]
) -> None:
    assert why(parse(query), LEAF) == expected


def test_the_page_shows_the_sentence_the_commands_and_every_target_as_frozen(run: JobRun, ben: User) -> None:
    text = text_of(signed_in(ben), run)
    for wanted in (
        "“patch nginx <now>”",
        "llama3.1",
        "CHG-1042",
        'apt-get install -y "$package" && echo "<done>"',
        'dpkg -s "$package"',
        'apt-get install "$package=$OUTPUT_version"',
        "as root (become)",
        "at most 1 min 30 s",
        "nginx",
        "10.0.0.1:22",
        "deploy",
        "ssh-prod",
        fingerprint(HOST_KEY),
        "in group web servers",
        "no trusted host key: will be blocked",
        "$port",
        run.plan_hash,
        "0 of 1 given",
        "any change on production",
    ):
        assert wanted in text, wanted


def test_what_came_from_outside_is_text_in_the_markup(run: JobRun, ben: User) -> None:
    markup = signed_in(ben).get(f"/runs/{run.pk}/").content.decode()
    assert "<now>" not in markup
    assert "<done>" not in markup


def test_the_plan_stays_as_it_was_frozen_when_the_inventory_changes(run: JobRun, ben: User) -> None:
    Target.objects.filter(name="web1").update(address="192.0.2.99", environment="dev")
    text = text_of(signed_in(ben), run)
    assert "10.0.0.1:22" in text
    assert "192.0.2.99" not in text


def test_a_credential_that_is_gone_is_said_to_be_gone(run: JobRun, ben: User) -> None:
    Target.objects.update(credential=None)
    Credential.objects.all().delete()
    assert "which was deleted" in text_of(signed_in(ben), run)


def test_the_worst_case_is_printed_as_frozen(run: JobRun, ben: User) -> None:
    text = " ".join(text_of(signed_in(ben), run).split())
    assert "Worst case: 3 of 3 targets touched" in text
    assert "1 may fail + 2 at a time" in text


def test_the_rollout_is_told_in_words() -> None:
    rollout = {
        "batches": [1, 6, 6, 3],
        "canary": 1,
        "max_parallel": 5,
        "max_failures": 2,
        "bake": 90,
        "on_failure": "undo",
    }
    words = " ".join(rollout_words(rollout, 16, changes=True))
    assert "a canary of 1 target" in words
    assert "Then 15 targets in 3 batches of 6, 6, 3 targets, at most 5 at a time" in words
    assert "waits 1 min 30 s" in words
    assert "more than 2 targets went wrong" in words
    assert "undone in reverse order" in words


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (90, "1 min 30 s"), (5400, "1 h 30 min"), (86400, "1 d")]
)
def test_a_duration_is_told_exactly(seconds: int, text: str) -> None:
    assert lasting(seconds) == text


def test_an_approver_approves_with_a_reason(run: JobRun, ben: User) -> None:
    client = signed_in(ben)
    assert decide(client, run, reason="looks right")[0] == 302
    run.refresh_from_db()
    assert run.status == "queued"
    given = run.participants.get(user=ben)
    assert (given.decision, given.reason, given.plan_hash) == ("approved", "looks right", run.plan_hash)
    assert "approved by <strong>ben</strong>" in text_of(client, run)


def test_a_rejection_ends_the_run_and_its_reason_is_read(run: JobRun, ben: User) -> None:
    client = signed_in(ben)
    assert decide(client, run, "reject", reason="not on a Friday")[0] == 302
    run.refresh_from_db()
    assert run.status == "rejected"
    assert "not on a Friday" in text_of(client, run)


def test_another_plan_is_refused_and_the_reason_stays_typed(run: JobRun, ben: User) -> None:
    status, text = decide(signed_in(ben), run, plan_hash="0" * 64, reason="looks right")
    assert status == 409
    assert "This is not the plan you looked at" in text
    assert 'value="looks right"' in text
    run.refresh_from_db()
    assert run.status == "awaiting_approval"


def test_a_decision_without_a_plan_is_refused(run: JobRun, ben: User) -> None:
    assert signed_in(ben).post(f"/runs/{run.pk}/approve/").status_code == 409
    assert not Participant.objects.filter(part="approver").exists()


def test_a_run_that_was_decided_meanwhile_says_so(run: JobRun, ben: User) -> None:
    move(run, "running")
    status, text = decide(signed_in(ben), run)
    assert status == 409
    assert f"Run {run.pk} is running" in text


def test_too_late_is_too_late(run: JobRun, ben: User) -> None:
    JobRun.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    status, text = decide(signed_in(ben), run)
    assert status == 409
    assert "has expired" in text


@pytest.mark.parametrize(
    ("who", "why"),
    [("ana", "needs the role approver"), ("vera", "needs the role approver"), ("root", "You asked for")],
)
def test_who_may_not_approve_reads_why_and_is_refused_all_the_same(
    ana: User, who: str, why: str, run: JobRun
) -> None:
    user = {"ana": ana}.get(who) or person(who, {"vera": "viewer", "root": "admin"}[who])
    if who == "root":
        Participant.objects.create(run=run, user=user, part="requester")
    client = signed_in(user)
    text = text_of(client, run)
    assert why in text
    assert 'disabled aria-describedby="why-not"' in text
    status, text = decide(client, run)
    assert status == 403
    assert why in text


def test_a_held_run_is_started_by_its_author_only(ana: User, ben: User) -> None:
    add_targets(1, environment="dev")
    run = submit_update(ana, hold=True)
    assert "Only somebody who asked for this run can start it." in text_of(signed_in(ben), run)
    assert decide(signed_in(ben), run, "start")[0] == 403
    assert "Start" in text_of(signed_in(ana), run)
    assert decide(signed_in(ana), run, "start")[0] == 302
    run.refresh_from_db()
    assert run.status == "queued"


def test_a_waiting_run_is_cancelled_by_who_may(run: JobRun, ana: User) -> None:
    viewer = signed_in(person("vera", "viewer"))
    assert "This needs the role operator, approver or admin" in text_of(viewer, run)
    assert decide(viewer, run, "cancel")[0] == 403
    assert decide(signed_in(ana), run, "cancel", reason="changed our minds")[0] == 302
    run.refresh_from_db()
    assert run.status == "cancelled"


def test_the_plan_can_be_read_when_the_run_is_over(run: JobRun, ben: User) -> None:
    decide(signed_in(ben), run, "reject")
    text = text_of(signed_in(ben), run, "plan/")
    assert "This plan waits for no decision any more." in text
    assert run.plan_hash in text


def test_nobody_reads_a_plan_without_signing_in_or_a_role(run: JobRun) -> None:
    assert Client().get(f"/runs/{run.pk}/plan/").status_code == 302
    assert signed_in(person("nobody")).get(f"/runs/{run.pk}/plan/").status_code == 404
    assert signed_in(person("nemo")).post(f"/runs/{run.pk}/approve/").status_code == 404


def test_a_decision_needs_the_form_of_the_page(run: JobRun, ben: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ben)
    assert client.post(f"/runs/{run.pk}/approve/", {"plan_hash": run.plan_hash}).status_code == 403
    assert signed_in(ben).get(f"/runs/{run.pk}/approve/").status_code == 405


@pytest.mark.parametrize("targets", [3, 30])
def test_the_page_takes_as_many_queries_for_many_targets_as_for_few(
    ana: User, ben: User, targets: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    add_targets(targets)
    run, client = submit_update(ana), signed_in(ben)
    with django_assert_num_queries(12):
        assert client.get(f"/runs/{run.pk}/").status_code == 200


def test_many_targets_come_in_pages(ana: User, ben: User) -> None:
    add_targets(60)
    run = submit_update(ana)
    assert "Page 1 of 2" in text_of(signed_in(ben), run)
    assert "Page 2 of 2" in text_of(signed_in(ben), run, "?page=2")
