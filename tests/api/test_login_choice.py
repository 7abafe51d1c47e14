"""Which credential a target is reached with, and why: told alike everywhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from automation.login_choice import choose
from automation.models import EnvironmentDefault, Group, Target
from credentials.models import Credential
from credentials.secret import Secret
from tests.api.conftest import bearer, session, token_text

TARGETS, CREDENTIALS = "/api/v1/targets/", "/api/v1/credentials/"


@pytest.fixture
def admin(people: dict[str, User]) -> APIClient:
    return session(people["admin"])


def made(name: str, **fields: Any) -> Credential:
    credential = Credential(name=name, kind="password", username=name, **fields)
    credential.set_secrets(password=Secret("hunter2hunter2"))
    return credential


@pytest.mark.parametrize(
    ("own", "groups", "default", "credential", "why"),
    [
        ("own", [("web", "g")], "d", "own", "the target's own, which beats that of group web"),
        ("own", [], None, "own", "the target's own"),
        (None, [("web", "g"), ("All", "h")], "d", "h", "of group All, which comes before web by name"),
        (None, [("web", "g")], "d", "g", "of group web"),
        (None, [], "d", "d", "the default of environment prod"),
        (None, [], None, None, "neither the target, nor a group of it, nor its environment has one"),
    ],
)
def test_the_nearest_credential_counts_and_says_so(
    own: str | None, groups: list[tuple[str, str]], default: str | None, credential: str | None, why: str
) -> None:
    choice = choose(own, groups, environment="prod", default=default)
    assert (choice.credential, choice.why) == (credential, why)


def test_the_api_tells_the_credential_and_why(admin: APIClient, web: list[Target]) -> None:
    EnvironmentDefault.objects.create(environment="Prod", credential=made("of prod"))
    told = admin.get(f"{TARGETS}{web[0].pk}/").json()
    assert told["credential"] is None
    assert told["login"]["username"] == "of prod"
    assert told["login"]["why"] == "the default of environment prod"


def test_the_targets_page_tells_why(people: dict[str, User], web: list[Target]) -> None:
    Group.objects.update(credential=made("of web"))
    client = Client()
    client.force_login(people["operator"])
    body = client.get(f"/targets/{web[0].pk}/").content.decode()
    assert "of group web" in body


def test_only_who_may_write_credentials_puts_a_target_where_one_is_given(
    people: dict[str, User], make_target: Callable[..., Target]
) -> None:
    target = make_target("db1")
    Group.objects.create(name="web", credential=made("of web"))
    EnvironmentDefault.objects.create(environment="lab", credential=made("of lab"))
    narrow = bearer(token_text(people["admin"], scopes=["inventory:write", "inventory:read"]))
    here = f"{TARGETS}{target.pk}/"
    for change in ({"groups": ["web"]}, {"environment": "lab"}):
        assert narrow.patch(here, change).status_code == 403
    assert narrow.patch(here, {"environment": "prod"}).status_code == 200
    group = Group.objects.create(name="db")
    refused = narrow.patch(f"/api/v1/groups/{group.pk}/", {"credential": Credential.objects.all()[0].pk})
    assert refused.status_code == 403


def test_a_credential_tells_what_uses_it_and_cannot_be_deleted_meanwhile(
    admin: APIClient, web: list[Target]
) -> None:
    credential = made("all")
    Group.objects.filter(name="web").update(credential=credential)
    here = f"{CREDENTIALS}{credential.pk}/"
    assert admin.get(here).json()["used_by"] == {"targets": [], "groups": ["web"], "environments": []}
    answer = admin.delete(here)
    assert (answer.status_code, answer.json()["code"]) == (409, "credential.in_use")


def test_expiry_is_set_and_told(admin: APIClient) -> None:
    here = f"{CREDENTIALS}{made('old').pk}/"
    soon = timezone.now() + timedelta(days=3)
    assert admin.patch(here, {"expires_at": soon.isoformat()}).json()["expiry"] == "soon"
    past = timezone.now() - timedelta(days=3)
    assert admin.patch(here, {"expires_at": past.isoformat()}).json()["expiry"] == "expired"
    assert admin.post(f"{here}test/", {}).json()["code"] == "credential.expired"
    assert admin.patch(here, {"expires_at": None}).json()["expiry"] == "none"


def test_the_overview_warns_of_credentials_about_to_expire(people: dict[str, User]) -> None:
    made("late", expires_at=timezone.now() - timedelta(days=1))
    made("soon", expires_at=timezone.now() + timedelta(days=1))
    made("fine", expires_at=timezone.now() + timedelta(days=99))
    client = Client()
    client.force_login(people["operator"])
    body = client.get("/").content.decode()
    part = body[body.index('id="expiring"') :]
    assert part.index("late") < part.index("soon")
    assert "fine" not in part[: part.index("</ul>")]


def test_an_expired_credential_refuses_a_submission_with_its_code(
    admin: APIClient, web: list[Target]
) -> None:
    Group.objects.update(credential=made("late", expires_at=timezone.now() - timedelta(days=1)))
    definition = {"name": "look", "steps": [{"name": "look", "effect": "read", "run": {"bash": "uptime"}}]}
    answer = admin.post("/api/v1/runs/", {"definition": definition, "targets": "group:web"})
    assert answer.status_code == 400
    assert answer.json()["code"] == "credential.expired"
    assert "web1" in answer.json()["detail"]


def test_a_credential_in_vault_is_made_by_api_and_answers_hold_no_proof(admin: APIClient) -> None:
    entry = {"address": "https://127.0.0.1:1", "path": "linux/web", "keys": {"password": "pw"}}
    body = {
        "name": "kept",
        "kind": "vault",
        "username": "deploy",
        "vault": entry,
        "vault_secret": "s.0815-4711",
    }
    answer = admin.post(CREDENTIALS, body)
    assert answer.status_code == 201, answer.content
    assert b"0815" not in answer.content
    assert answer.json()["has_vault_secret"] is True
    here = f"{CREDENTIALS}{answer.json()['id']}/"
    assert admin.post(f"{here}test/", {}).json()["code"] == "vault.unreachable"
    moved = admin.patch(here, {"vault": entry | {"address": "https://127.0.0.1:2"}})
    assert moved.json()["code"] == "credential.vault_secret_needed"
    wrong = admin.post(CREDENTIALS, body | {"name": "other", "vault": {"address": "http://x"}})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "credential.vault_entry")
