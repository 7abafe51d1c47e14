"""A run that is deleted while somebody comes to follow it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import User
from django.db import connection
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from automation.api.run_events import events_answer
from automation.live.reading import standings
from automation.live.tailer import Tailer
from automation.models import JobRun
from automation.routing import websockets
from tests.live.server import signed_in


class DeletesBeforeItTells(Tailer):
    """The run goes between the question whether he may follow it and the one how far it has come."""

    async def read(self, reading: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        def work() -> Any:
            try:
                if reading is standings:
                    JobRun.objects.filter(pk__in=args[0]).delete()
                return reading(*args, **kwargs)
            finally:
                connection.close()  # the reader's thread may outlive the test

        return await super().read(work)


@pytest.mark.django_db(transaction=True)
def test_who_comes_to_a_run_deleted_that_moment_is_told_that_there_is_none(run: JobRun, vera: User) -> None:
    scope = {
        "type": "websocket",
        "path": f"/ws/runs/{run.pk}/",
        "query_string": b"",
        "headers": [
            (b"host", b"localhost"),
            (b"origin", b"http://localhost"),
            (b"cookie", signed_in(vera)["Cookie"].encode()),
        ],
    }

    async def come() -> dict[str, Any]:
        tailer = DeletesBeforeItTells()
        # Any: the class has no types.
        socket: Any = ApplicationCommunicator(websockets(tailer), scope)  # type: ignore[no-untyped-call]
        await socket.send_input({"type": "websocket.connect"})
        assert (await socket.receive_output(timeout=10))["type"] == "websocket.accept"
        answer: dict[str, Any] = await socket.receive_output(timeout=10)
        while tailer.working:  # its thread may not outlive the loop
            await asyncio.sleep(0.02)
        return answer

    answer = async_to_sync(come)()
    assert (answer["type"], answer["code"]) == ("websocket.close", 4404)


@pytest.mark.django_db
def test_who_waits_for_more_of_a_run_that_is_deleted_is_told_that_there_is_none(run: JobRun) -> None:
    asked = Request(APIRequestFactory().get("/", {"after": "1000", "wait": "5"}))
    JobRun.objects.filter(pk=run.pk).delete()
    with pytest.raises(NotFound):
        events_answer(asked, run)
