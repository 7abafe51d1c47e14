"""The thread that reads for all: there when somebody follows, gone when nobody does."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from channels.layers import get_channel_layer
from django.db import OperationalError, connection

from automation.live.doorbell import DataVersion, Poll, doorbell
from automation.live.reading import Place
from automation.live.tailer import Tailer, group_of
from automation.models import JobRun
from tests.live.stories import begin, print_bytes, tell_notes


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "live-tailer"]


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.02)


async def message(channel: str, kind: str) -> dict[str, Any]:
    """The next message that brings something."""
    async with asyncio.timeout(5):
        while True:
            found: dict[str, Any] = await get_channel_layer().receive(channel)
            if found["type"] == kind and found["frames"]:
                return found


@pytest.mark.django_db(transaction=True)
def test_it_works_from_the_first_who_comes_to_the_last_who_goes(run: JobRun) -> None:
    tailer = Tailer()

    async def come_and_go() -> None:
        for _ in range(2):
            tailer.join(run.pk)
            tailer.join(run.pk)
            await until(lambda: threads() == ["live-tailer"])
            tailer.leave(run.pk)
            await asyncio.sleep(0.1)
            assert tailer.working
            tailer.leave(run.pk)
            await until(lambda: not tailer.working and not threads())

    assert threads() == []
    asyncio.run(come_and_go())


@pytest.mark.django_db(transaction=True)
def test_what_is_new_goes_once_to_the_group_of_its_run(run: JobRun) -> None:
    tailer = Tailer()

    async def follow() -> dict[str, Any]:
        channel = await get_channel_layer().new_channel()
        await get_channel_layer().group_add(group_of(run.pk), channel)
        tailer.join(run.pk)
        await asyncio.sleep(0.2)
        await asyncio.to_thread(write)
        found = await message(channel, "live.story")
        tailer.leave(run.pk)
        await until(lambda: not tailer.working)
        return found

    def write() -> None:
        tell_notes(run, 3)
        connection.close()

    found = asyncio.run(follow())
    assert (found["after"], found["last"], found["frames"].count("\n")) == (1, 4, 2)


@pytest.mark.django_db(transaction=True)
def test_output_is_read_only_where_somebody_watches(run: JobRun) -> None:
    tailer = Tailer()
    watched, other = begin(run, "web1"), begin(run, "web2")
    place = Place(watched.result_id, "run", "stdout")

    async def follow() -> dict[str, Any]:
        channel = await get_channel_layer().new_channel()
        for group in (group_of(place), group_of(Place(other.result_id, "run", "stdout"))):
            await get_channel_layer().group_add(group, channel)
        tailer.join(place)
        await asyncio.sleep(0.2)
        await asyncio.to_thread(write)
        found = await message(channel, "live.output")
        tailer.leave(place)
        await until(lambda: not tailer.working)
        return found

    def write() -> None:
        print_bytes(run, other, b"unseen")
        print_bytes(run, watched, b"seen")
        connection.close()

    found = asyncio.run(follow())
    assert (found["attempt"], found["after"], found["end"]) == (watched.pk.hex, 0, 4)


def rings(bell: DataVersion) -> bool:
    return any(bell.wait() for _ in range(3))


def test_the_doorbell_of_sqlite_rings_for_what_others_commit(tmp_path: Path) -> None:
    file = tmp_path / "a file.sqlite3"
    writer = sqlite3.connect(file, isolation_level=None)
    writer.executescript("PRAGMA journal_mode=WAL; CREATE TABLE t (n)")
    bell = DataVersion(file)
    assert bell.wait()
    assert not rings(bell)
    writer.execute("INSERT INTO t VALUES (1)")
    assert rings(bell)
    writer.execute("SELECT * FROM t").fetchall()
    assert not rings(bell)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO t VALUES (2)")
    writer.execute("ROLLBACK")
    assert not rings(bell)
    bell.close()
    writer.close()


def test_a_database_without_a_doorbell_is_looked_at_again_and_again() -> None:
    bell = Poll()
    began = time.monotonic()
    assert bell.wait() and bell.wait()
    assert 0.3 < time.monotonic() - began < 2
    bell.close()


@pytest.mark.sqlite
@pytest.mark.django_db
def test_the_database_of_the_product_has_the_quick_one() -> None:
    bell = doorbell()
    assert isinstance(bell, DataVersion)
    bell.close()


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_lost_is_made_anew(run: JobRun) -> None:
    tailer, connections = Tailer(), []

    def reading() -> int:
        connections.append(connection.connection)
        if len(connections) == 1:
            raise OperationalError("the server closed the connection")
        last = JobRun.objects.get(pk=run.pk).last_seq
        connection.close()  # the tailer would keep it for as long as its process lives
        return last

    assert asyncio.run(tailer.read(reading)) == 1
    assert len(connections) == 2
