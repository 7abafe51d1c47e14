"""People, tokens and a small inventory, as the API sees them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from automation.models import ApiToken, Group, JobRun, Target
from automation.roles import ROLES, SCOPES

READ_UPTIME = {
    "name": "uptime",
    "summary": "How long has it been up",
    "steps": [{"name": "look", "effect": "read", "run": {"bash": "uptime"}}],
}
TOUCH = {
    "name": "touch-file",
    "summary": "Make a file",
    "parameters": {"file": {"type": "string"}},
    "steps": [{"name": "touch", "effect": "change", "run": {"bash": 'touch "$file"'}}],
}
HOST_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIJ8mJ0tZJ9p1jZ2nW8c2Gm0hJwXl8QvN0gXoY3n0bS1p"
OTHER_HOST_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIJ8mJ0tZJ9p1jZ2nW8c2Gm0hJwXl8QvN0gXoY3n0bS1q"


def person(name: str, role: str | None = None) -> User:
    user = User.objects.create_user(name, password="correct horse battery")
    if role is not None:
        user.groups.add(Role.objects.get(name=role))
    return user


def token_text(user: User, kind: str = "person", scopes: list[str] | None = None, **fields: Any) -> str:
    allowed = SCOPES - {"admin", "runs:approve"} if kind != "person" else SCOPES
    _, text = ApiToken.objects.issue(
        name=f"{kind} of {user}", user=user, kind=kind, scopes=scopes or sorted(allowed), **fields
    )
    return text


def bearer(text: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


def session(user: User) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


def send(client: APIClient, method: str, path: str, body: bytes) -> Any:
    """These very bytes, as JSON."""
    anything: Any = client
    return anything.generic(method, path, body, content_type="application/json")


@pytest.fixture
def people(db: None) -> dict[str, User]:
    """One person for each role, and mallory, who has none."""
    return {role: person(f"{role}-person", role) for role in ROLES} | {"mallory": person("mallory")}


@pytest.fixture
def clients(people: dict[str, User]) -> dict[str, APIClient]:
    """Everybody who may stand at the door, by what they are."""
    admin = people["admin"]
    revoked, expired = token_text(admin), token_text(admin, expires_at=timezone.now() - timedelta(seconds=1))
    token = ApiToken.objects.valid(revoked)
    assert token is not None
    token.revoke()
    return {
        "anonymous": APIClient(),
        **{name: session(user) for name, user in people.items()},
        "ai": bearer(token_text(admin, "ai")),
        "revoked": bearer(revoked),
        "expired": bearer(expired),
    }


@pytest.fixture
def make_target(db: None) -> Callable[..., Target]:
    def make(name: str, *, groups: tuple[str, ...] = (), **fields: Any) -> Target:
        target = Target.objects.create(name=name, address=f"{name}.example.org", **fields)
        target.groups.set([Group.objects.get_or_create(name=group)[0] for group in groups])
        return target

    return make


@pytest.fixture
def web(make_target: Callable[..., Target]) -> list[Target]:
    return [make_target(f"web{n}", groups=("web",), environment="prod") for n in (1, 2, 3)]


@pytest.fixture
def submit_as(web: list[Target]) -> Callable[..., JobRun]:
    """A run by API, as its row."""

    def submit(client: APIClient, **body: Any) -> JobRun:
        asked = {"definition": TOUCH, "targets": "group:web", "parameters": {"file": "/tmp/x"}} | body
        answer = client.post("/api/v1/runs/", asked)
        assert answer.status_code == 201, answer.content
        return JobRun.objects.get(pk=answer.json()["id"])

    return submit
