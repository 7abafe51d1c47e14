"""Output that somebody watches comes as it grows, every byte once."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import ExitStack
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from websockets.sync.client import ClientConnection

from automation.models import Attempt, AttemptState, JobRun, OutputChunk, ResultState, StepResult
from tests.live.server import Server, next_frame
from tests.live.stories import begin, end, make_run, print_bytes

Headers = dict[str, str]


def watch(socket: ClientConnection, **wanted: Any) -> None:
    socket.send(json.dumps({"watch": {"target": "web1", "step": "look", "stream": "stdout"} | wanted}))


def next_bytes(socket: ClientConnection) -> dict[str, Any]:
    """The next frame of output; events are passed over."""
    while (frame := next_frame(socket))["kind"] != "bytes":
        pass
    return frame | {"data": base64.b64decode(frame["data"])}


def collect(socket: ClientConnection, *, offset: int = 0) -> bytes:
    """Everything up to the end; fails on a gap or a repeat."""
    found = b""
    while True:
        frame = next_bytes(socket)
        assert frame["offset"] == offset + len(found)
        found += bytes(frame["data"])
        if frame["eof"]:
            return found


def test_what_was_printed_comes_and_then_what_is(server: Server, run: JobRun, cookie: Headers) -> None:
    attempt = begin(run)
    print_bytes(run, attempt, b"one\n\xff\0")
    with server.socket(run.pk, headers=cookie) as socket:
        watch(socket)
        assert next_bytes(socket) == {
            "kind": "bytes",
            "target": "web1",
            "step": "look",
            "body": "run",
            "attempt": attempt.pk.hex,
            "stream": "stdout",
            "offset": 0,
            "data": b"one\n\xff\0",
            "eof": False,
        }
        print_bytes(run, attempt, b"two\n")
        frame = next_bytes(socket)
        assert (frame["offset"], frame["data"], frame["eof"]) == (6, b"two\n", False)
        end(run, attempt)
        frame = next_bytes(socket)
        assert (frame["offset"], frame["data"], frame["eof"]) == (10, b"", True)


def test_twenty_watchers_get_every_byte_once(server: Server, run: JobRun, cookie: Headers) -> None:
    attempt = begin(run)
    lines = [f"line {number}\n".encode() * 50 for number in range(200)]

    def write() -> None:
        for line in lines:
            print_bytes(run, attempt, line)
        end(run, attempt)
        connection.close()

    with ExitStack() as open_until_then:
        sockets = [
            open_until_then.enter_context(server.socket(run.pk, after=1, headers=cookie)) for _ in range(20)
        ]
        for socket in sockets[:10]:
            watch(socket)
        writer = threading.Thread(target=write)
        writer.start()
        for socket in sockets[10:]:
            watch(socket, offset=0)
        found = [collect(socket) for socket in sockets]
        writer.join()
    assert all(one == b"".join(lines) for one in found)


def test_from_an_offset_only_the_rest_comes(server: Server, run: JobRun, cookie: Headers) -> None:
    attempt = begin(run)
    print_bytes(run, attempt, b"x" * 100_000)
    print_bytes(run, attempt, b"tail")
    end(run, attempt)
    with server.socket(run.pk, headers=cookie) as socket:
        watch(socket, offset=99_998)
        assert collect(socket, offset=99_998) == b"xxtail"


def test_many_chunks_come_whole(server: Server, run: JobRun, cookie: Headers) -> None:
    attempt = begin(run)
    for number in range(30):
        print_bytes(run, attempt, bytes([number]) * 1000)
    end(run, attempt)
    with server.socket(run.pk, headers=cookie) as socket:
        watch(socket)
        assert collect(socket) == b"".join(bytes([number]) * 1000 for number in range(30))


def test_what_was_dropped_shows_as_a_gap(server: Server, run: JobRun, cookie: Headers) -> None:
    attempt = begin(run)
    with server.socket(run.pk, headers=cookie) as socket:
        watch(socket)
        print_bytes(run, attempt, b"head")
        assert next_bytes(socket)["data"] == b"head"
        with transaction.atomic():
            OutputChunk.objects.create(attempt=attempt, stream="stdout", offset=1000, end=1004, data=b"tail")
            Attempt.objects.update(stdout_stored=8, stdout_dropped=996, state=AttemptState.ENDED)
        frame = next_bytes(socket)
        assert (frame["offset"], frame["data"]) == (1000, b"tail")
        assert frame["eof"] or next_bytes(socket)["eof"]  # the reader may have seen the attempt just before


def test_the_next_attempt_follows_from_its_beginning(server: Server, run: JobRun, cookie: Headers) -> None:
    first = begin(run)
    with server.socket(run.pk, headers=cookie) as socket:
        watch(socket)
        print_bytes(run, first, b"first")
        assert next_bytes(socket)["attempt"] == first.pk.hex
        end(run, first)
        assert next_bytes(socket)["eof"] is True
        second = begin(run)
        print_bytes(run, second, b"second")
        frame = next_bytes(socket)
        assert (frame["attempt"], frame["offset"], frame["data"]) == (second.pk.hex, 0, b"second")


def test_an_attempt_that_is_named_is_the_only_one_shown(server: Server, run: JobRun, cookie: Headers) -> None:
    first = begin(run)
    print_bytes(run, first, b"first")
    second = begin(run)
    with server.socket(run.pk, headers=cookie) as socket:
        watch(socket, attempt=first.pk.hex)
        assert next_bytes(socket)["data"] == b"first"
        print_bytes(run, second, b"second")
        end(run, first)
        print_bytes(run, second, b"more")
        frame = next_bytes(socket)
        assert (frame["attempt"], frame["offset"], frame["data"], frame["eof"]) == (
            first.pk.hex,
            5,
            b"",
            True,
        )


def test_a_step_that_never_ran_has_an_end_and_no_bytes(server: Server, run: JobRun, cookie: Headers) -> None:
    StepResult.objects.filter(run=run).update(state=ResultState.SKIPPED)
    with server.socket(run.pk, headers=cookie) as socket:
        watch(socket)
        frame = next_bytes(socket)
        assert (frame["attempt"], frame["data"], frame["eof"]) == (None, b"", True)


def test_a_new_watch_takes_the_place_of_the_old_one(server: Server, run: JobRun, cookie: Headers) -> None:
    attempt = begin(run)
    print_bytes(run, attempt, b"0123456789")
    with server.socket(run.pk, headers=cookie) as socket:
        watch(socket)
        assert next_bytes(socket)["data"] == b"0123456789"
        watch(socket, offset=8)
        assert next_bytes(socket)["data"] == b"89"
        print_bytes(run, attempt, b"ab")
        assert next_bytes(socket)["data"] == b"ab"
        end(run, attempt)
        assert next_bytes(socket)["eof"] is True


def test_nothing_comes_of_what_is_not_watched_any_more(server: Server, run: JobRun, cookie: Headers) -> None:
    attempt = begin(run)
    with server.socket(run.pk, after=1, headers=cookie) as socket:
        assert next_frame(socket)["kind"] == "hello"
        watch(socket)
        socket.send('{"watch": null}')
        socket.send('{"watch": 1}')  # answered in order: by then the watch has ended
        assert next_frame(socket)["kind"] == "problem"
        print_bytes(run, attempt, b"unseen")
        print_bytes(run, attempt, b"unseen")
        assert [next_frame(socket)["kind"] for _ in range(2)] == ["output", "output"]


@pytest.mark.parametrize(
    "asked",
    [
        "x",
        "[]",
        "{}",
        '{"watch": {"target": "web9", "step": "look"}}',
        '{"watch": {"target": "web1"}}',
        '{"watch": {"target": "web1", "step": "look", "stream": "stdin"}}',
        '{"watch": {"target": "web1", "step": "look", "body": []}}',
        '{"watch": {"target": "web1", "step": "look", "offset": -1}}',
        '{"watch": {"target": "web1", "step": "look", "offset": true}}',
        '{"watch": {"target": "web1", "step": "look", "attempt": "x"}}',
    ],
)
def test_what_cannot_be_watched_is_told_so(server: Server, run: JobRun, cookie: Headers, asked: str) -> None:
    with server.socket(run.pk, after=1, headers=cookie) as socket:
        assert next_frame(socket)["kind"] == "hello"
        socket.send(asked)
        assert next_frame(socket)["kind"] == "problem"


def test_the_output_of_another_run_cannot_be_watched(
    server: Server, run: JobRun, olga: User, cookie: Headers
) -> None:
    begin(run)
    other = make_run(olga)
    other.results.all().delete()
    with server.socket(other.pk, after=1, headers=cookie) as socket:
        assert next_frame(socket)["kind"] == "hello"
        watch(socket)
        assert next_frame(socket)["kind"] == "problem"
