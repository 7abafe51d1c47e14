"""The same story over server-sent events."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from automation.models import ApiToken, JobRun
from tests.live.server import Server, closed_with
from tests.live.stories import tell_notes

Headers = dict[str, str]


def messages(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Fields of each message, until the server ends the stream."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line and fields:
            yield fields
            fields = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value


def story(lines: Iterator[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for message in messages(lines):
        if "id" in message:
            yield int(message["id"]), json.loads(message["data"])


def test_it_tells_what_is_there_and_what_comes_and_ends_with_the_run(
    server: Server, run: JobRun, cookie: Headers
) -> None:
    tell_notes(run, 2)
    with server.stream(run.pk, headers=cookie) as lines:
        found = story(lines)
        assert [next(found)[0] for _ in range(3)] == [1, 2, 3]
        tell_notes(run, 2)
        assert [next(found)[0] for _ in range(2)] == [4, 5]
        tell_notes(run, 1, finish=True)
        rest = list(messages(lines))
    assert [message.get("id") for message in rest] == ["6", "7", None]
    assert (rest[-1]["event"], json.loads(rest[-1]["data"])) == ("final", {"last": 7, "final": True})


def test_the_events_are_those_of_the_api(server: Server, run: JobRun, cookie: Headers) -> None:
    tell_notes(run, 3, finish=True)
    with server.stream(run.pk, headers=cookie) as lines:
        streamed = [event for _, event in story(lines)]
    status, body = server.get(f"/api/v1/runs/{run.pk}/events/", cookie)
    assert (status, json.loads(body)["events"]) == (200, streamed)


def test_who_comes_again_goes_on_after_the_last_id(server: Server, run: JobRun, cookie: Headers) -> None:
    tell_notes(run, 9)
    with server.stream(run.pk, after=2, headers=cookie) as lines:
        found = story(lines)
        assert [next(found)[0] for _ in range(3)] == [3, 4, 5]
    tell_notes(run, 1, finish=True)
    with server.stream(run.pk, after=2, headers=cookie | {"Last-Event-ID": "5"}) as lines:
        assert [number for number, _ in story(lines)] == [6, 7, 8, 9, 10, 11, 12]


def test_who_has_all_of_it_is_told_to_stay_away(server: Server, run: JobRun, cookie: Headers) -> None:
    tell_notes(run, 1, finish=True)
    headers = cookie | {"Accept": "text/event-stream", "Last-Event-ID": "3"}
    assert server.get(f"/api/v1/runs/{run.pk}/events/", headers) == (204, b"")


def test_a_killed_web_server_costs_nobody_an_event(server: Server, run: JobRun, cookie: Headers) -> None:
    with server.stream(run.pk, headers=cookie) as lines:
        assert next(story(lines))[0] == 1
        server.stop(signal.SIGKILL)
    tell_notes(run, 2)
    server.start()
    with server.stream(run.pk, headers=cookie | {"Last-Event-ID": "1"}) as lines:
        tell_notes(run, 1, finish=True)
        assert [number for number, _ in story(lines)] == [2, 3, 4, 5]


def test_a_stop_of_the_server_ends_the_stream_at_once(server: Server, run: JobRun, cookie: Headers) -> None:
    with server.stream(run.pk, headers=cookie) as lines, server.socket(run.pk, headers=cookie) as socket:
        found = story(lines)
        assert next(found)[0] == 1
        began = time.monotonic()
        assert server.stop() in (0, -signal.SIGTERM)
        assert time.monotonic() - began < 5
        assert list(found) == []
        assert closed_with(socket) == 1012
    server.start()


def test_a_revoked_token_ends_the_stream(server: Server, run: JobRun, vera: User) -> None:
    token, text = ApiToken.objects.issue(name="t", user=vera, kind="service", scopes=["runs:read"])
    with server.stream(run.pk, headers={"Authorization": f"Bearer {text}"}) as lines:
        found = story(lines)
        assert next(found)[0] == 1
        token.revoke()
        began = time.monotonic()
        assert list(found) == []
        assert time.monotonic() - began < 8


@pytest.mark.parametrize("number", ["x", "-1", "1" * 20])
def test_an_id_that_is_none_is_refused(server: Server, run: JobRun, cookie: Headers, number: str) -> None:
    headers = cookie | {"Accept": "text/event-stream", "Last-Event-ID": number}
    assert server.get(f"/api/v1/runs/{run.pk}/events/", headers)[0] == 400


def test_a_server_that_cannot_stream_says_so(run: JobRun, vera: User) -> None:
    client = APIClient()
    client.force_login(vera)
    answer = client.get(f"/api/v1/runs/{run.pk}/events/", HTTP_ACCEPT="text/event-stream")
    assert (answer.status_code, answer.json()["code"]) == (406, "stream.none")


def test_many_streams_leave_the_server_free_for_others(server: Server, run: JobRun, cookie: Headers) -> None:
    streams = [server.stream(run.pk, headers=cookie) for _ in range(30)]
    opened = [story(stream.__enter__()) for stream in streams]
    assert {next(found)[0] for found in opened} == {1}
    began = time.monotonic()
    assert server.get(f"/api/v1/runs/{run.pk}/events/", cookie)[0] == 200
    assert time.monotonic() - began < 2
    tell_notes(run, 1)
    assert {next(found)[0] for found in opened} == {2}
    for stream in streams:
        stream.__exit__(None, None, None)
