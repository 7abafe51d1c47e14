"""One's own tokens by API."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from automation.models import ApiToken
from tests.api.conftest import bearer, session, token_text

URL = "/api/v1/tokens/"
ASKED = {"name": "laptop", "kind": "person", "scopes": ["runs:read"]}


def test_a_token_is_shown_once_and_opens_the_door_until_revoked(people: dict[str, User]) -> None:
    alice = session(people["operator"])
    made = alice.post(URL, ASKED)
    assert made.status_code == 201, made.content
    text = made.json()["token"]
    assert bearer(text).get("/api/v1/runs/").status_code == 200
    assert text not in alice.get(URL).content.decode()
    assert alice.delete(f"{URL}{made.json()['id']}/").status_code == 204
    assert bearer(text).get("/api/v1/runs/").status_code == 401
    assert alice.get(URL).json()["results"] == []


def test_nobody_sees_or_revokes_the_token_of_another(people: dict[str, User]) -> None:
    token_text(people["operator"])
    token = ApiToken.objects.get()
    for who in ("admin", "viewer"):
        client = session(people[who])
        assert client.get(URL).json()["results"] == []
        assert client.delete(f"{URL}{token.pk}/").status_code == 404
    assert ApiToken.objects.get().revoked_at is None


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": ["runs:approve"]},
        {"scopes": ["runs:everything"]},
        {"scopes": []},
        {"scopes": "runs:read"},
        {"kind": "root"},
        {"days": 91},
        {"days": 0},
        {"user": 1},
    ],
)
def test_a_token_nobody_may_have_is_refused(clients: dict[str, APIClient], change: dict[str, Any]) -> None:
    before = ApiToken.objects.count()
    assert clients["operator"].post(URL, ASKED | change).status_code == 400
    assert ApiToken.objects.count() == before


def test_a_machine_never_gets_to_approve(clients: dict[str, APIClient]) -> None:
    answer = clients["approver"].post(URL, {"name": "x", "kind": "ai", "scopes": ["runs:approve"]})
    assert answer.status_code == 400
    assert "never approve" in answer.json()["detail"]


def test_a_token_makes_no_token(people: dict[str, User]) -> None:
    answer = bearer(token_text(people["admin"])).post(URL, ASKED)
    assert (answer.status_code, answer.json()["code"]) == (403, "session.required")
