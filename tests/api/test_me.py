"""Who a token's bearer is, for services that pass tokens on."""

from django.contrib.auth.models import User
from rest_framework.test import APIClient

from tests.api.conftest import token_text


def test_a_token_is_told_its_owner_kind_and_what_it_may_do(people: dict[str, User]) -> None:
    text = token_text(people["operator"], "ai", ["runs:read", "runs:submit", "credentials:write"])
    answer = APIClient().get("/api/v1/me/", headers={"Authorization": f"Bearer {text}"})
    assert answer.json() == {
        "name": people["operator"].username,
        "kind": "ai",
        "scopes": ["runs:read", "runs:submit"],  # never more than the owner's roles allow
    }
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_stranger_is_nobody(db: None) -> None:
    assert APIClient().get("/api/v1/me/").status_code == 401
