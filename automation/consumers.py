"""The WebSocket of a run: its story from a number on, and the output that its page looks at."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from automation.live.admission import NO_SUCH_RUN, Visitor, refusal, token_bearer
from automation.live.followers import SOCKETS
from automation.live.positions import OutputPosition, StoryPosition
from automation.live.reading import STREAMS, Place, as_frame, find_result, standings
from automation.live.tailer import PULSE_GROUP, Tailer, group_of
from automation.models import Attempt

NOT_UNDERSTOOD = 4400
TOO_SLOW = 4408
COME_AGAIN = 1012
LONGEST_SEND = 10.0
MOST_WATCHES = 16
LARGEST_NUMBER = 2**63 - 1


class TooSlow(Exception):
    """The follower took nothing for LONGEST_SEND seconds."""


class NotUnderstood(Exception):
    """What the follower asked for makes no sense; the text says why."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Output that a page asked for."""

    target: str
    step: str
    stream: str
    body: str
    attempt: uuid.UUID | None
    offset: int


class RunConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
    """`/ws/runs/{id}/?after=N`.

    Sends a frame `{"kind": "hello", "last", "final"}`, then every event after N, one a frame, as
    `GET /api/v1/runs/{id}/events/` has them. `{"watch": {"target", "step", "body", "attempt", "stream",
    "offset"}}` asks for output as it grows, in frames `{"kind": "bytes", "target", "step", "body", "attempt",
    "stream", "offset", "data", "eof"}` with data in base64; `{"watch": null}` ends all of that. What cannot
    be watched is answered with `{"kind": "problem", "detail"}`.

    Closes with 4400 (not understood), 4401 (not signed in), 4403 (not allowed), 4404 (no such run), 4408 (too
    slow: come again after the last number), 1012 (the server restarts: likewise).

    Everything is sent in the order of the consumer's own loop. While one send waits for a slow reader,
    messages pile up to the channel's capacity; what is more is read from the rows later.
    """

    def __init__(self, tailer: Tailer) -> None:
        super().__init__()
        self._tailer = tailer
        self._run_id = 0
        self._visitor = Visitor()
        self._story: StoryPosition | None = None
        self._outputs: dict[Place, tuple[Watch, OutputPosition]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with SOCKETS.track_inprogress():
            try:
                await super().__call__(scope, receive, send)
            finally:
                await self._leave()

    async def dispatch(self, message: dict[str, Any]) -> None:
        # Not the base class's way, which for each message visits a thread to tidy connections up: here
        # nothing uses the database but through the tailer's readers.
        try:
            await getattr(self, message["type"].replace(".", "_"))(message)
        except TooSlow:
            await self._end(TOO_SLOW)

    # who comes and goes

    async def connect(self) -> None:
        await self.accept()  # a refusal before would reach a browser without its code
        self._run_id = int(self.scope["url_route"]["kwargs"]["run"])
        after = _number(parse_qs(self.scope["query_string"].decode("latin-1")).get("after", ["0"])[0])
        if after is None:
            await self._end(NOT_UNDERSTOOD, "after must be a whole number.")
            return
        self._visitor = await self._who()
        if await self._refused():
            return
        await self._join(after)

    async def _join(self, after: int) -> None:
        self._story = StoryPosition(self._tailer, self._run_id, after=after)
        await self.channel_layer.group_add(PULSE_GROUP, self.channel_name)
        # Joined first and read then, so that nothing falls between.
        await self._follow(self._run_id)
        standing = (await self._tailer.read(standings, [self._run_id])).get(self._run_id)
        if standing is None:  # deleted since it was asked whether he may
            await self._end(NO_SUCH_RUN)
            return
        await self._send(as_frame({"kind": "hello", "last": standing.last, "final": standing.final}))
        await self._send_all(self._story.catch_up())

    async def _leave(self) -> None:
        if self._story is None:
            return
        await self.channel_layer.group_discard(PULSE_GROUP, self.channel_name)
        for place in list(self._outputs):
            await self._unwatch(place)
        await self._unfollow(self._run_id)
        self._story = None

    async def _end(self, code: int, reason: str = "") -> None:
        await self._leave()  # first: nothing may be sent after the close
        await self.close(code, reason)

    async def _follow(self, followed: int | Place) -> None:
        await self.channel_layer.group_add(group_of(followed), self.channel_name)
        self._tailer.join(followed)

    async def _unfollow(self, followed: int | Place) -> None:
        self._tailer.leave(followed)
        await self.channel_layer.group_discard(group_of(followed), self.channel_name)

    async def _who(self) -> Visitor:
        """By token where one is sent, else by session. A token that is not valid counts, as nobody."""
        scheme, _, text = _header(self.scope, b"authorization").partition(" ")
        if scheme.lower() == "bearer":
            return await self._tailer.read(token_bearer, text.strip())
        return Visitor(session_key=self.scope["cookies"].get(settings.SESSION_COOKIE_NAME))

    async def _refused(self) -> bool:
        code = await self._tailer.read(refusal, self._visitor, self._run_id)
        if code is not None:
            await self._end(code)
        return code is not None

    # what the follower says

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        try:
            asked = _watch(text_data)
            if asked is None:
                for place in list(self._outputs):
                    await self._unwatch(place)
            else:
                await self._watch(asked)
        except NotUnderstood as error:
            await self._send(as_frame({"kind": "problem", "detail": str(error)}))

    async def _watch(self, asked: Watch) -> None:
        result = await self._tailer.read(find_result, self._run_id, asked.target, asked.step)
        if result is None:
            raise NotUnderstood("This run has no such target or step.")
        place = Place(result, asked.body, asked.stream)
        for other, (watch, _) in list(self._outputs.items()):
            if (watch.target, watch.step, watch.stream) == (asked.target, asked.step, asked.stream):
                await self._unwatch(other)
        if len(self._outputs) >= MOST_WATCHES:
            raise NotUnderstood(f"At most {MOST_WATCHES} outputs can be watched at once.")
        position = OutputPosition(self._tailer, place, offset=asked.offset, wanted=asked.attempt)
        self._outputs[place] = asked, position
        await self._follow(place)
        await self._send_all(position.catch_up())

    async def _unwatch(self, place: Place) -> None:
        del self._outputs[place]
        await self._unfollow(place)

    # what the tailer says

    async def live_story(self, message: dict[str, Any]) -> None:
        if self._story is not None:
            await self._send_all(self._story.take(message))

    async def live_output(self, message: dict[str, Any]) -> None:
        for place, (_, position) in self._outputs.items():
            if group_of(place) == message["place"]:
                await self._send_all(position.take(message))

    async def live_pulse(self, message: dict[str, Any]) -> None:
        if self._story is not None:
            await self._refused()

    async def live_end(self, message: dict[str, Any]) -> None:
        await self._end(COME_AGAIN)

    # sending

    async def _send_all(self, frames: AsyncIterator[str]) -> None:
        async for frame in frames:
            await self._send(frame)

    async def _send(self, frame: str) -> None:
        try:
            async with asyncio.timeout(LONGEST_SEND):
                await self.send(text_data=frame)
        except TimeoutError:
            raise TooSlow from None


def _header(scope: dict[str, Any], name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else None


def _watch(text: str | None) -> Watch | None:
    """What is asked for; None to end all. Raises NotUnderstood."""
    try:
        message = json.loads(text or "")
    except (ValueError, RecursionError):
        raise NotUnderstood("Not JSON.") from None
    if not isinstance(message, dict) or set(message) != {"watch"}:
        raise NotUnderstood('Say {"watch": {…}} or {"watch": null}.')
    asked = message["watch"]
    if asked is None:
        return None
    if not isinstance(asked, dict):
        raise NotUnderstood("watch is an object.")
    offset = asked.get("offset", 0)
    if type(offset) is not int or not 0 <= offset <= LARGEST_NUMBER:
        raise NotUnderstood("offset is a whole number.")
    return Watch(
        target=_text(asked, "target"),
        step=_text(asked, "step"),
        stream=_one_of(asked, "stream", STREAMS, "stdout"),
        body=_one_of(asked, "body", Attempt.Body.values, "run"),
        attempt=_attempt(asked),
        offset=offset,
    )


def _text(asked: dict[str, Any], name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str) or not value:
        raise NotUnderstood(f"{name} is missing.")
    return value


def _one_of(asked: dict[str, Any], name: str, choices: Any, default: str) -> str:
    value = asked.get(name, default)
    if value not in choices:
        raise NotUnderstood(f"{name} must be one of {', '.join(choices)}.")
    return str(value)


def _attempt(asked: dict[str, Any]) -> uuid.UUID | None:
    value = asked.get("attempt")
    if value is None:
        return None
    try:
        return uuid.UUID(hex=value)
    except (ValueError, AttributeError, TypeError):
        raise NotUnderstood("attempt is the id of an attempt.") from None
