"""Whoever follows a run gets every event once and in order, whatever breaks in between."""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from automation.models import JobRun
from tests.live.server import Server, frames_until, next_frame, signed_in
from tests.live.stories import tell_notes

EVENTS = 400
Headers = dict[str, str]


@pytest.fixture
def writer(run: JobRun) -> threading.Thread:
    """Writes EVENTS events, one transaction after the other, as workers do."""

    def write() -> None:
        for _ in range(EVENTS // 5):
            tell_notes(run, 5)
        connection.close()

    return threading.Thread(target=write)


def numbers(frames: list[dict[str, Any]]) -> list[int]:
    return [frame["seq"] for frame in frames if "seq" in frame]


def test_first_comes_how_far_the_story_goes(server: Server, run: JobRun, cookie: Headers) -> None:
    tell_notes(run, 3)
    with server.socket(run.pk, headers=cookie) as socket:
        assert next_frame(socket) == {"kind": "hello", "last": 4, "final": False}
        assert numbers(frames_until(socket, 4)) == [1, 2, 3, 4]
    tell_notes(run, 1, finish=True)
    with server.socket(run.pk, after=4, headers=cookie) as socket:
        assert next_frame(socket) == {"kind": "hello", "last": 6, "final": True}
        assert numbers(frames_until(socket, 6)) == [5, 6]


def test_the_frames_are_what_the_api_tells(server: Server, run: JobRun, cookie: Headers) -> None:
    tell_notes(run, 3)
    with server.socket(run.pk, headers=cookie) as socket:
        tell_notes(run, 2)
        told = [row.as_dict() for row in run.events.order_by("seq")]
        assert frames_until(socket, 6) == told


def test_news_come_while_one_waits(server: Server, run: JobRun, cookie: Headers) -> None:
    with server.socket(run.pk, after=1, headers=cookie) as socket:
        assert next_frame(socket)["last"] == 1
        for number in range(2, 8):
            tell_notes(run, 1)
            assert next_frame(socket, seconds=2)["seq"] == number


def test_a_story_longer_than_a_page_is_told_whole(server: Server, run: JobRun, cookie: Headers) -> None:
    tell_notes(run, 2100)
    with server.socket(run.pk, headers=cookie) as socket:
        assert numbers(frames_until(socket, 2101)) == list(range(1, 2102))


def test_twenty_readers_get_the_identical_sequence(
    server: Server, run: JobRun, cookie: Headers, writer: threading.Thread
) -> None:
    with ExitStack() as open_until_then:

        def come(after: int) -> ClientConnection:
            return open_until_then.enter_context(server.socket(run.pk, after=after, headers=cookie))

        sockets = [come(0) for _ in range(20)]
        writer.start()
        sockets += [come(1) for _ in range(3)]
        stories = [frames_until(socket, EVENTS + 1) for socket in sockets]
        writer.join()
    assert numbers(stories[0]) == list(range(1, EVENTS + 2))
    assert all(story == stories[0] for story in stories[:20])
    assert all(story == stories[0][1:] for story in stories[20:])


def test_who_comes_again_and_again_misses_nothing(
    server: Server, run: JobRun, cookie: Headers, writer: threading.Thread
) -> None:
    writer.start()
    found: list[int] = []
    while not found or found[-1] < EVENTS + 1:
        with server.socket(run.pk, after=found[-1] if found else 0, headers=cookie) as socket:
            for _ in range(37):
                frame = next_frame(socket)
                found += [frame["seq"]] if "seq" in frame else []
                if found and found[-1] == EVENTS + 1:
                    break
    writer.join()
    assert found == list(range(1, EVENTS + 2))


def test_a_killed_web_server_costs_nobody_an_event(
    server: Server, run: JobRun, cookie: Headers, writer: threading.Thread
) -> None:
    found: list[int] = []

    def collect(socket: ClientConnection) -> None:
        frame = next_frame(socket)
        found.extend([frame["seq"]] if "seq" in frame else [])

    writer.start()
    for enough in (40, 120, 200, EVENTS + 1):
        with server.socket(run.pk, after=found[-1] if found else 0, headers=cookie) as socket:
            while len(found) < enough:
                collect(socket)
            if enough > EVENTS:
                break
            server.kill()
            with suppress(ConnectionClosed):
                while True:
                    collect(socket)  # what was on its way
        server.start()
    writer.join()
    assert found == list(range(1, EVENTS + 2))


def test_readers_of_other_runs_get_only_their_own(
    server: Server, run: JobRun, olga: User, cookie: Headers
) -> None:
    other = JobRun.objects.get(pk=run.pk)
    other.pk = None
    other.last_seq = 0
    other.save()
    tell_notes(other, 1)
    with (
        server.socket(run.pk, after=1, headers=cookie) as ours,
        server.socket(other.pk, headers=signed_in(olga)) as theirs,
    ):
        assert (next_frame(ours)["last"], next_frame(theirs)["last"]) == (1, 1)
        tell_notes(other, 2)
        tell_notes(run, 1)
        assert numbers(frames_until(ours, 2)) == [2]
        assert numbers(frames_until(theirs, 3)) == [1, 2, 3]
