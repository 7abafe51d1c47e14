"""A reader that takes nothing is dropped, and nobody else notices it."""

from __future__ import annotations

import json
import socket as sockets
import threading
import time

from django.db import connection

from automation.models import JobRun
from tests.live.server import Server, closed_with, frames_until, next_frame
from tests.live.stories import begin, print_bytes, tell_notes

Headers = dict[str, str]
PIECE = 60_000
PIECES = 200


def narrow(port: int) -> sockets.socket:
    """A connection that can hold little of what nobody reads."""
    made = sockets.socket()
    made.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    made.connect(("127.0.0.1", port))
    return made


def test_a_reader_that_stands_still_is_dropped_and_others_go_on(
    server: Server, run: JobRun, cookie: Headers
) -> None:
    attempt = begin(run)

    def write() -> None:
        for _ in range(PIECES):
            print_bytes(run, attempt, b"x" * PIECE)
        connection.close()

    with (
        server.socket(run.pk, headers=cookie, sock=narrow(server.port), max_queue=1) as slow,
        server.socket(run.pk, headers=cookie) as quick,
    ):
        slow.send(json.dumps({"watch": {"target": "web1", "step": "look"}}))
        writer = threading.Thread(target=write)
        writer.start()
        assert [frame["seq"] for frame in frames_until(quick, PIECES + 1)] == list(range(1, PIECES + 2))
        writer.join()
        until = time.monotonic() + 13
        while time.monotonic() < until:
            before = time.monotonic()
            tell_notes(run, 1)
            assert next_frame(quick, seconds=2)["kind"] == "note"
            assert time.monotonic() - before < 1
            time.sleep(0.2)
        assert closed_with(slow, seconds=5) == 4408


def test_a_reader_that_dozed_gets_all_he_missed(server: Server, run: JobRun, cookie: Headers) -> None:
    attempt = begin(run)
    with server.socket(run.pk, headers=cookie, sock=narrow(server.port), max_queue=1) as dozing:
        dozing.send(json.dumps({"watch": {"target": "web1", "step": "look"}}))
        for _ in range(PIECES):
            print_bytes(run, attempt, b"x" * PIECE)
        time.sleep(2)
        events: list[int] = []
        received = 0
        while len(events) < PIECES + 1 or received < PIECES:
            frame = next_frame(dozing)
            if frame["kind"] == "bytes":
                assert frame["offset"] == received * PIECE
                received += 1
            elif "seq" in frame:
                events.append(frame["seq"])
        assert events == list(range(1, PIECES + 2))
