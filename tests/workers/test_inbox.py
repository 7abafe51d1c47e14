"""What I/O threads leave for the thread that writes."""

from __future__ import annotations

import threading
import time

from automation.workers.inbox import Inbox


def test_who_takes_gets_all_that_comes_while_it_lingers() -> None:
    inbox = Inbox()
    inbox.expect()
    inbox.put("first")
    threading.Timer(0.1, inbox.put, ["second"]).start()
    assert inbox.take(timeout=5, linger=1.0) == ["first", "second"]


def test_nobody_lingers_when_every_job_has_put_its_last() -> None:
    inbox = Inbox()
    for _ in range(2):
        inbox.expect()
    inbox.put("first", last=True)
    threading.Timer(0.1, inbox.put, ["second"], {"last": True}).start()
    begun = time.monotonic()
    assert inbox.take(timeout=5, linger=60) == ["first", "second"]
    assert time.monotonic() - begun < 30


def test_who_takes_from_a_full_one_lingers_no_longer() -> None:
    inbox = Inbox(max_bytes=10)
    inbox.expect()
    threading.Timer(0.1, inbox.put, [b"x" * 11], {"size": 11}).start()
    begun = time.monotonic()
    assert inbox.take(timeout=5, linger=60) == [b"x" * 11]
    assert time.monotonic() - begun < 30


def test_more_output_waits_until_a_full_one_was_emptied() -> None:
    inbox = Inbox(max_bytes=10)
    inbox.put("a", size=11)
    second = threading.Thread(target=inbox.put, args=["b"], kwargs={"size": 1})
    second.start()
    second.join(0.2)
    assert second.is_alive()
    assert inbox.take(timeout=5, linger=0) == ["a"]
    second.join(5)
    assert inbox.take(timeout=5, linger=0) == ["b"]


def test_what_is_no_output_never_waits() -> None:
    inbox = Inbox(max_bytes=10)
    inbox.put("a", size=11)
    inbox.put("ended")
    assert inbox.take(timeout=5, linger=0) == ["a", "ended"]
