"""Who is asking: tokens, this process, sessions, and nobody else."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.handlers.asgi import ASGIRequest
from django.utils import timezone
from rest_framework.test import APIClient

from automation.api.authentication import AUTH_KEY, PRINCIPAL_KEY
from automation.api.parsers import MAX_BODY_BYTES
from automation.models import ApiToken, Group
from tests.api.conftest import bearer, send, session, token_text

URL = "/api/v1/groups/"


def test_nobody_gets_nothing(clients: dict[str, APIClient]) -> None:
    answer = clients["anonymous"].get(URL)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("who", ["revoked", "expired"])
def test_a_dead_token_opens_nothing(clients: dict[str, APIClient], who: str) -> None:
    answer = clients[who].get(URL)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["code"] == "token.invalid"


def test_a_token_of_somebody_deactivated_opens_nothing(people: dict[str, User]) -> None:
    client = bearer(token_text(people["viewer"]))
    assert client.get(URL).status_code == 200
    User.objects.filter(pk=people["viewer"].pk).update(is_active=False)
    assert client.get(URL).status_code == 401


def test_a_token_does_not_become_more_by_a_cookie(people: dict[str, User]) -> None:
    client = session(people["admin"])
    client.credentials(HTTP_AUTHORIZATION="Bearer ops_wrong")
    assert client.get(URL).status_code == 401
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token_text(people['viewer'])}")
    assert client.post(URL, {"name": "x"}).status_code == 403


def test_a_token_allows_no_more_than_its_scopes_and_its_owner(people: dict[str, User]) -> None:
    narrow = bearer(token_text(people["admin"], scopes=["inventory:read"]))
    assert narrow.post(URL, {"name": "x"}).json()["code"] == "scope.token"
    wide = bearer(token_text(people["viewer"], scopes=["inventory:write"]))
    assert wide.post(URL, {"name": "x"}).json()["code"] == "scope.role"
    assert not Group.objects.exists()


def test_the_use_of_a_token_is_noted_at_most_once_a_minute(people: dict[str, User]) -> None:
    client = bearer(token_text(people["viewer"]))
    client.get(URL)
    first = ApiToken.objects.get().last_used_at
    client.get(URL)
    assert first is not None
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    client.get(URL)
    assert ApiToken.objects.get().last_used_at > first  # type: ignore[operator]


@pytest.mark.parametrize("method", ["post", "patch", "delete"])
def test_a_session_needs_the_csrf_token_to_change_anything(people: dict[str, User], method: str) -> None:
    group = Group.objects.create(name="web")
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(people["admin"])
    url = URL if method == "post" else f"{URL}{group.pk}/"
    assert client.get(URL).status_code == 200
    assert getattr(client, method)(url, {"name": "db"}).status_code == 403
    assert list(Group.objects.values_list("name", flat=True)) == ["web"]


def test_a_token_needs_no_csrf_token(people: dict[str, User]) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token_text(people['admin'])}")
    assert client.post(URL, {"name": "db"}).status_code == 201


def test_code_in_this_process_speaks_for_a_principal(people: dict[str, User]) -> None:
    inside: dict[str, Any] = {"opsportal.principal": people["viewer"], "opsportal.auth": None}
    assert APIClient().get(URL, **inside).status_code == 200
    assert APIClient().post(URL, {"name": "x"}, **inside).status_code == 403


def test_in_process_the_rights_of_token_and_principal_both_limit(people: dict[str, User]) -> None:
    token = ApiToken.objects.valid(token_text(people["admin"], "ai", ["inventory:read"]))
    inside: dict[str, Any] = {"opsportal.principal": people["admin"], "opsportal.auth": token}
    assert APIClient().get(URL, **inside).status_code == 200
    assert APIClient().post(URL, {"name": "x"}, **inside).status_code == 403
    inside["opsportal.principal"] = people["mallory"]
    assert APIClient().get(URL, **inside).status_code == 403


def test_no_header_from_outside_becomes_a_principal() -> None:
    names = [PRINCIPAL_KEY, AUTH_KEY, "opsportal_principal", "http_" + PRINCIPAL_KEY, "OPSPORTAL.PRINCIPAL"]
    scope = {
        "type": "http",
        "method": "GET",
        "path": URL,
        "headers": [(name.encode(), b"admin-person") for name in names],
        "query_string": b"",
    }
    meta = ASGIRequest(scope, io.BytesIO()).META
    assert not {PRINCIPAL_KEY, AUTH_KEY} & set(meta)
    assert [name for name, value in meta.items() if "admin-person" in str(value)]


def test_text_in_place_of_a_principal_is_nobody(people: dict[str, User]) -> None:
    inside: dict[str, Any] = {PRINCIPAL_KEY: people["admin"].username}
    assert APIClient().get(URL, **inside).status_code == 401


def test_a_body_has_a_bounded_size(clients: dict[str, APIClient]) -> None:
    def post(size: int) -> Any:
        head, tail = b'{"name":"web","description":"', b'"}'
        body = head + b"x" * (size - len(head) - len(tail)) + tail
        return send(clients["admin"], "POST", URL, body)

    assert post(MAX_BODY_BYTES).status_code == 201
    assert post(MAX_BODY_BYTES + 1).status_code == 413


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"name": "a", "name": "b"}', "body.not_json"),
        (b'{"name": NaN}', "body.not_json"),
        (b"\xff\xfe", "body.not_json"),
        (b"{", "body.not_json"),
        (b"[]", "body.not_object"),
        (b'{"variables": ' + b'{"a":' * 31 + b"1" + b"}" * 32, "body.too_complex"),
        (b"[" * 100_000, "body.too_complex"),
        (b'{"x": [' + b"1," * 20_000 + b"1]}", "body.too_complex"),
    ],
)
def test_a_body_is_one_plain_json_object(clients: dict[str, APIClient], body: bytes, code: str) -> None:
    answer = send(clients["admin"], "POST", URL, body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_forms_are_not_read(clients: dict[str, APIClient]) -> None:
    answer = clients["admin"].generic("POST", URL, "name=x", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 415


@pytest.mark.parametrize("origin", ["null", "https://evil.example", "http://testserver:81"])
def test_no_origin_is_invited(clients: dict[str, APIClient], origin: str) -> None:
    answer = clients["admin"].get(URL, HTTP_ORIGIN=origin)
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
