"""LISTEN and NOTIFY: rung with the rows, never before them, and only a nudge."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest
from channels.layers import get_channel_layer
from django.db import OperationalError, connection, transaction

from automation.live.doorbell import Listen, doorbell
from automation.live.tailer import Tailer, group_of
from automation.models import JobRun
from tests.live.stories import tell_notes
from tests.live.test_tailer import message
from tests.postgresql import PostgreSQL

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bell(run: JobRun) -> Iterator[Listen]:
    """One that has rung for the first time already."""
    del run
    made = doorbell()
    assert isinstance(made, Listen)
    assert made.wait()
    yield made
    made.close()


def test_it_rings_when_a_story_goes_on_and_is_silent_otherwise(bell: Listen, run: JobRun) -> None:
    assert not bell.wait()
    run.refresh_from_db()
    assert not bell.wait()
    tell_notes(run, 3)
    assert bell.wait()
    assert not bell.wait()


def test_it_rings_with_the_commit_and_not_before_and_never_for_what_is_taken_back(
    bell: Listen, run: JobRun
) -> None:
    with transaction.atomic():
        tell_notes(run, 1)
        assert not bell.wait()
    assert bell.wait()
    with transaction.atomic():
        tell_notes(run, 1)
        transaction.set_rollback(True)
    assert not bell.wait()


def test_what_waits_is_woken_at_once(bell: Listen, run: JobRun) -> None:
    told: list[float] = []

    def write() -> None:
        time.sleep(0.1)
        tell_notes(run, 1)
        told.append(time.monotonic())
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    while not bell.wait():
        pass
    rang = time.monotonic()
    writer.join()
    assert rang - told[0] < 0.045  # sooner than the next look would have been


def test_a_lost_session_is_said_as_a_lost_query_is(bell: Listen, server: PostgreSQL) -> None:
    server.stop(at_once=False)
    try:
        with pytest.raises(OperationalError):
            bell.wait()
    finally:
        server.start()
    connection.close()


def test_who_follows_misses_nothing_while_the_database_is_away(server: PostgreSQL, run: JobRun) -> None:
    async def follow() -> list[int]:
        tailer, layer = Tailer(), get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(group_of(run.pk), channel)
        tailer.join(run.pk)
        try:
            await layer.receive(channel)  # where things stand; what is written from now on follows
            await asyncio.to_thread(write, 1)
            numbers = [(await message(channel, "live.story"))["last"]]
            await asyncio.to_thread(restart)
            await asyncio.to_thread(write, 2)
            numbers.append((await message(channel, "live.story"))["last"])
            return numbers
        finally:
            tailer.leave(run.pk)

    def write(count: int) -> None:
        connection.close()
        tell_notes(run, count)
        connection.close()

    def restart() -> None:
        server.stop(at_once=False)
        time.sleep(1.5)
        server.start()

    connection.close()
    first, second = asyncio.run(follow())
    assert second == first + 2
