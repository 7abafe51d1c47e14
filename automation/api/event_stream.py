"""A run's story as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from channels.layers import get_channel_layer
from django.http import HttpResponse, StreamingHttpResponse
from rest_framework.request import Request

from automation.api.authentication import token_of
from automation.api.pages import whole_number
from automation.api.problems import Problem
from automation.live.admission import Visitor, refusal
from automation.live.followers import STREAMS
from automation.live.positions import StoryPosition
from automation.live.reading import as_frame, standings
from automation.live.tailer import PULSE_GROUP, Tailer, group_of
from automation.models import JobRun

HEARTBEAT_SECONDS = 15.0
COME_AGAIN_MS = 1000
LARGEST_NUMBER = 2**63 - 1


def wants_stream(request: Request) -> bool:
    return "text/event-stream" in request.headers.get("Accept", "")


def stream_answer(request: Request, run: JobRun) -> StreamingHttpResponse | HttpResponse:
    """The events after `after`, or after `Last-Event-ID` of one who comes again.

    `id` is the number, `data` the event as JSON. Ends with `event: final` when the run is over and all is
    told; who then comes again gets 204, which tells a browser to stop. No thread waits for a reader.
    """
    tailer = getattr(request._request, "scope", {}).get("opsportal.tailer")
    if not isinstance(tailer, Tailer):
        raise Problem("This server cannot stream: ask with `wait` instead.", code="stream.none", status=406)
    came_again = request.headers.get("Last-Event-ID", "")
    after = _last_event_id(came_again) if came_again else _after(request)
    if came_again and run.is_final and after >= run.last_seq:
        return HttpResponse(status=204)
    follower = _EventStream(tailer, _visitor(request), run.pk, after=after)
    return StreamingHttpResponse(
        follower.parts(),
        content_type="text/event-stream",
        # A proxy that collects the answer first would hold everything back.
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _after(request: Request) -> int:
    return whole_number(request, "after", default=0, at_least=0, at_most=LARGEST_NUMBER)


def _last_event_id(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 19:
        return int(text)
    raise Problem("Last-Event-ID must be the number of an event.", code="header.invalid")


def _visitor(request: Request) -> Visitor:
    token = token_of(request)
    if token is not None:
        return Visitor(token_id=token.pk)
    return Visitor(session_key=request._request.session.session_key)


class _EventStream:
    """One reader of one run."""

    def __init__(self, tailer: Tailer, visitor: Visitor, run_id: int, *, after: int) -> None:
        self._tailer = tailer
        self._visitor = visitor
        self._run_id = run_id
        self._story = StoryPosition(tailer, run_id, after=after)
        self._layer: Any = get_channel_layer()

    async def parts(self) -> AsyncIterator[str]:
        """Until the run's end, or until the reader may not have it any more."""
        channel: str = await self._layer.new_channel()
        groups = (PULSE_GROUP, group_of(self._run_id))
        for group in groups:
            await self._layer.group_add(group, channel)
        self._tailer.join(self._run_id)
        STREAMS.inc()
        try:
            async for part in self._follow(channel):
                yield part
        finally:
            STREAMS.dec()
            self._tailer.leave(self._run_id)
            for group in groups:
                await self._layer.group_discard(group, channel)

    async def _follow(self, channel: str) -> AsyncIterator[str]:
        yield f"retry: {COME_AGAIN_MS}\n\n"
        async for frame in self._story.catch_up():
            yield self._event(frame)
        while not await self._ended():
            message = await self._next(channel)
            if message is None:
                yield ": still here\n\n"
            elif message["type"] == "live.story":
                async for frame in self._story.take(message):
                    yield self._event(frame)
            elif message["type"] == "live.end" or await self._refused():
                return
        yield f"event: final\ndata: {as_frame({'last': self._story.last, 'final': True})}\n\n"

    async def _next(self, channel: str) -> dict[str, Any] | None:
        """The tailer's next message; None when it is time for a sign of life."""
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                message: dict[str, Any] = await self._layer.receive(channel)
        except TimeoutError:
            return None
        return message

    async def _ended(self) -> bool:
        # The run before its last number: final then, the story is whole.
        standing = (await self._tailer.read(standings, [self._run_id])).get(self._run_id)
        # A run that was deleted meanwhile has nothing more to tell.
        return standing is None or (standing.final and self._story.last >= standing.last)

    async def _refused(self) -> bool:
        return await self._tailer.read(refusal, self._visitor, self._run_id) is not None

    def _event(self, frame: str) -> str:
        return f"id: {self._story.last}\ndata: {frame}\n\n"
