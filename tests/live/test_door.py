"""Who may follow a run: asked at the door, and again for as long as somebody stays."""

from __future__ import annotations

import time

import pytest
from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from websockets.exceptions import InvalidStatus

from automation.models import ApiToken, JobRun
from tests.live.server import Server, closed_with, next_frame, signed_in
from tests.live.stories import person, tell_notes

Headers = dict[str, str]
WITHIN = 8.0
"""Seconds in which a permission that is withdrawn must show."""


def token(user: User, *scopes: str) -> tuple[ApiToken, Headers]:
    row, text = ApiToken.objects.issue(name="t", user=user, kind="service", scopes=list(scopes))
    return row, {"Authorization": f"Bearer {text}"}


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "https://127.0.0.1", "null"])
def test_a_page_of_somebody_else_is_refused(
    server: Server, run: JobRun, cookie: Headers, origin: str
) -> None:
    with pytest.raises(InvalidStatus) as refused, server.socket(run.pk, origin=origin, headers=cookie):
        pass
    assert refused.value.response.status_code == 403


def test_a_cookie_without_an_origin_is_refused(server: Server, run: JobRun, cookie: Headers) -> None:
    with pytest.raises(InvalidStatus), server.socket(run.pk, origin=None, headers=cookie):
        pass


def test_a_host_that_is_not_ours_is_refused(server: Server, run: JobRun, cookie: Headers) -> None:
    given = cookie | {"Host": "evil.example"}
    with pytest.raises(InvalidStatus), server.socket(run.pk, origin="http://evil.example", headers=given):
        pass


def test_a_token_needs_no_origin_and_counts_alone(
    server: Server, run: JobRun, olga: User, cookie: Headers
) -> None:
    _, headers = token(olga, "runs:read")
    with server.socket(run.pk, origin=None, headers=headers) as socket:
        assert next_frame(socket)["kind"] == "hello"
    with server.socket(run.pk, origin=None, headers=cookie | {"Authorization": "Bearer ops_x"}) as socket:
        assert closed_with(socket) == 4401


def test_a_token_from_a_page_of_somebody_else_is_refused(server: Server, run: JobRun, olga: User) -> None:
    _, headers = token(olga, "runs:read")
    with pytest.raises(InvalidStatus), server.socket(run.pk, origin="http://evil.example", headers=headers):
        pass


def test_each_stranger_is_told_why(server: Server, run: JobRun, olga: User, cookie: Headers) -> None:
    _, blind = token(olga, "inventory:read")
    mallory = signed_in(person("mallory"))
    for asked, headers, code in [
        (run.pk, {}, 4401),
        (run.pk, {"Cookie": "sessionid=nobody"}, 4401),
        (run.pk, mallory, 4403),
        (run.pk, blind, 4403),
        (run.pk + 1, cookie, 4404),
    ]:
        with server.socket(asked, headers=headers) as socket:
            assert closed_with(socket) == code


def test_other_addresses_are_refused(server: Server, cookie: Headers) -> None:
    with pytest.raises(InvalidStatus), server.socket("x", headers=cookie):
        pass


def test_a_number_that_is_none_is_refused(server: Server, run: JobRun, cookie: Headers) -> None:
    with server.socket(run.pk, after="-1", headers=cookie) as socket:
        assert closed_with(socket) == 4400


@pytest.mark.parametrize("how", ["deactivated", "role", "session", "password", "run"])
def test_who_may_no_longer_is_let_go_within_seconds(
    server: Server, run: JobRun, vera: User, cookie: Headers, how: str
) -> None:
    with server.socket(run.pk, after=1, headers=cookie) as socket:
        assert next_frame(socket)["kind"] == "hello"
        if how == "deactivated":
            User.objects.filter(pk=vera.pk).update(is_active=False)
        elif how == "role":
            vera.groups.remove(Role.objects.get(name="viewer"))
        elif how == "session":
            Session.objects.all().delete()
        elif how == "password":
            vera.set_password("another one, quite long")
            vera.save()
        else:
            JobRun.objects.filter(pk=run.pk).delete()
        began = time.monotonic()
        assert closed_with(socket) == {"role": 4403, "run": 4404}.get(how, 4401)
        assert time.monotonic() - began < WITHIN


def test_a_revoked_token_lets_go_and_gets_nothing_more(server: Server, run: JobRun, olga: User) -> None:
    row, headers = token(olga, "runs:read")
    with server.socket(run.pk, origin=None, headers=headers) as socket:
        assert next_frame(socket)["kind"] == "hello"
        row.revoke()
        assert closed_with(socket, seconds=WITHIN) == 4401
    with server.socket(run.pk, origin=None, headers=headers) as socket:
        tell_notes(run, 1)
        assert closed_with(socket) == 4401
