"""AsyncAutomationClient against a real HTTP server: what is its own, and the twin's decisions."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, TypeVar

import pytest

from aiworkflows.async_automation_client import AsyncAutomationClient
from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_errors import (
    ConnectionCutError,
    DeadlineExceededError,
    EventGapError,
    NotFoundError,
    UnreachableError,
)
from tests.aiworkflows.automation_stub import Asked, Reply, Script, Stub, automation_stub, free_port
from tests.aiworkflows.test_automation_client import RUN, TOKEN, event, output_script, scripted

T = TypeVar("T")


def asked_of(script: Script, work: Callable[[AsyncAutomationClient], Awaitable[T]]) -> tuple[T, Stub]:
    """What the work gives with a client of a service that follows the script, and the service."""

    async def inside(url: str) -> T:
        async with AsyncAutomationClient(url, TOKEN, timeout=5) as client:
            return await work(client)

    with automation_stub(script) as stub:
        return asyncio.run(inside(stub.url)), stub


def public(kind: type[Any]) -> dict[str, inspect.Signature]:
    methods = inspect.getmembers(kind, inspect.isfunction)
    return {name: inspect.signature(method) for name, method in methods if not name.startswith("_")}


def test_both_clients_have_the_same_calls_with_the_same_parameters() -> None:
    blocking, asynchronous = public(AutomationClient), public(AsyncAutomationClient)
    asynchronous["close"] = asynchronous.pop("aclose")
    assert blocking.keys() == asynchronous.keys()
    assert {"submit", "events", "logs", "wait", "pause", "resume", "forecast", "files"} <= blocking.keys()
    for name in blocking.keys() - {"close"}:
        assert blocking[name] == asynchronous[name], name


def test_a_submission_cut_in_the_middle_is_repeated_with_the_same_key() -> None:
    script = scripted(Reply(cut=0), Reply(201, RUN, cut=5), Reply(503, {}), Reply(200, RUN))
    run, stub = asked_of(script, lambda client: client.submit("update-package", include_maintenance=True))
    assert run.id == 7
    assert len({asked.headers["Idempotency-Key"] for asked in stub.asked}) == 1
    assert len(stub.asked) == 4
    assert stub.asked[0].body == {"workflow": "update-package", "include_maintenance": True}
    assert stub.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"


def test_a_decision_that_may_have_arrived_is_never_sent_again() -> None:
    with automation_stub(scripted(Reply(cut=0), Reply(200, RUN))) as stub:

        async def decide() -> None:
            async with AsyncAutomationClient(stub.url, TOKEN) as client:
                await client.approve(7, "abc")

        with pytest.raises(ConnectionCutError):
            asyncio.run(decide())
    assert len(stub.asked) == 1


def test_events_come_once_and_in_order_over_cut_connections() -> None:
    story = [event(n) for n in range(1, 6)]
    turn = count()

    def script(asked: Asked) -> Reply:
        n, after = next(turn), int(asked.params["after"])
        if n in {1, 3}:
            return Reply(cut=0)
        return Reply(200, {"events": story[after : after + 2], "last": 5, "final": after >= 4})

    async def numbers(client: AsyncAutomationClient) -> list[int]:
        return [found.seq async for found in client.events(7)]

    assert asked_of(script, numbers)[0] == [1, 2, 3, 4, 5]


def test_a_hole_in_the_story_is_raised() -> None:
    async def first_and_next(client: AsyncAutomationClient) -> int:
        events = client.events(7)
        first = await anext(events)
        with pytest.raises(EventGapError):
            await anext(events)
        return first.seq

    page = {"events": [event(1), event(3)], "last": 3, "final": False}
    assert asked_of(scripted(Reply(200, page)), first_and_next)[0] == 1


def test_following_a_log_gives_every_byte_once_until_the_step_is_over() -> None:
    here = {"target": "web-1", "step": "update"}
    pages = iter([[event(2, kind="output", stream="stdout", **here)], [event(3, state="succeeded", **here)]])

    async def followed(client: AsyncAutomationClient) -> bytes:
        return b"".join([piece async for piece in client.logs(7, "web-1", "update", follow=True)])

    assert (
        asked_of(output_script([b"one\n", b"two\n", b"three\n"], pages), followed)[0] == b"one\ntwo\nthree\n"
    )


def test_waiting_lets_other_tasks_work_and_ends_at_its_own_time() -> None:
    def script(asked: Asked) -> Reply:
        if asked.path.endswith("/events/"):
            time.sleep(min(float(asked.params["wait"]), 1))
            return Reply(200, {"events": [], "last": 1, "final": False})
        return Reply(200, {**RUN, "status": "awaiting_approval"})

    async def ticks(client: AsyncAutomationClient) -> int:
        waiting = asyncio.create_task(client.wait(7, 0.4))
        ticked = 0
        while not waiting.done():
            await asyncio.sleep(0.02)
            ticked += 1
        with pytest.raises(DeadlineExceededError, match="awaiting_approval"):
            await waiting
        return ticked

    assert asked_of(script, ticks)[0] > 3


def test_lists_are_followed_page_by_page() -> None:
    def script(asked: Asked) -> Reply:
        if asked.params.get("cursor"):
            return Reply(200, {"next": None, "results": [{"id": 2, "name": "web-2"}]})
        return Reply(
            200, {"next": "http://elsewhere.example/?cursor=2", "results": [{"id": 1, "name": "web-1"}]}
        )

    async def names(client: AsyncAutomationClient) -> list[str]:
        return [target.name async for target in client.targets("all")]

    assert asked_of(script, names)[0] == ["web-1", "web-2"]


def test_a_file_is_sent_as_it_is_and_read_back() -> None:
    row = {"id": 3, "name": "motd", "size": 4, "sha256": "ab"}

    def script(asked: Asked) -> Reply:
        return Reply(200, b"hi\xff\n") if asked.path.endswith("/content/") else Reply(201, row)

    async def there_and_back(client: AsyncAutomationClient) -> tuple[str, bytes]:
        stored = await client.store_file("motd", b"1")
        return stored.name, await client.file_content(stored.id)

    given, stub = asked_of(script, there_and_back)
    assert given == ("motd", b"hi\xff\n")
    assert stub.asked[0].headers["Content-Type"] == "application/octet-stream"
    assert (stub.asked[0].params, stub.asked[0].body) == ({"name": "motd"}, 1)


def test_what_goes_wrong_is_the_same_typed_error() -> None:
    async def missing(client: AsyncAutomationClient) -> None:
        with pytest.raises(NotFoundError):
            await client.status(7)

    asked_of(scripted(Reply(404, {"detail": "gone"})), missing)

    async def away() -> None:
        async with AsyncAutomationClient(f"http://127.0.0.1:{free_port()}", TOKEN, timeout=0.3) as client:
            assert not (await client.health()).alive
            with pytest.raises(UnreachableError) as caught:
                await client.cancel(7)
            assert TOKEN not in repr(client) + repr(vars(client)) + str(caught.value)

    asyncio.run(away())
