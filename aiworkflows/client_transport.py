"""Requests to the automation service, blocking or not: deadlines, safe retries, typed errors."""

import asyncio
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from aiworkflows.client_errors import (
    AutomationError,
    ConnectionCutError,
    DeadlineExceededError,
    UnexpectedAnswerError,
    UnreachableError,
    error_of_answer,
)
from aiworkflows.client_flow import Call, Flow, Pause, Try

API: Final = "/api/v1/"
CONNECT_SECONDS: Final = 5.0
LARGEST_ANSWER: Final = 64 * 1024 * 1024
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 3.0
# Gateways and a service that is starting: it did not do the work, or its idempotency key says so.
PASSING: Final = frozenset({502, 503, 504})
# An earlier try of ours with the same idempotency key is still being answered.
BUSY: Final = "idempotency.busy"
# Raised before a byte of the request has left.
NOTHING_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
# DecodingError is a RequestError, not a TransportError.
FAULTS: Final = (httpx.TransportError, httpx.DecodingError, httpx.InvalidURL)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer with a status below 300."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)

    def json(self) -> dict[str, Any]:
        """Give the body as an object; UnexpectedAnswerError when it is none."""
        try:
            value = json.loads(self.content)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise UnexpectedAnswerError(
                "The service did not answer with a JSON object; is the address right?",
                code="answer.invalid",
                status=self.status,
            )
        return value


class TokenAuth(httpx.Auth):
    """Sends the token with each request; shows it to nobody else."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Any:
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def checked_base_url(base_url: str) -> str:
    """Refuse addresses that are not plain http(s) or that carry a password; drop a trailing slash."""
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("base_url must be an http or https address")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("base_url must hold no user, password, query or fragment")
    return base_url.rstrip("/")


Outcome = tuple[Answer | AutomationError, float | None]


def sending(call: Call, *, within: float) -> Flow[Answer]:
    """Answer the call within so many seconds, all tries included, or raise an AutomationError."""
    deadline = time.monotonic() + within
    pause = FIRST_PAUSE
    while True:
        outcome: Outcome = yield Try(call, deadline)
        answer, again_in = outcome
        if isinstance(answer, Answer):
            return answer
        # Full jitter keeps many clients from coming back in step.
        delay = again_in if again_in is not None else random.uniform(pause / 2, pause)  # noqa: S311
        if not _may_repeat(call, answer) or time.monotonic() + delay >= deadline:
            raise answer
        yield Pause(delay)
        pause = min(pause * 2, LONGEST_PAUSE)


def _may_repeat(call: Call, error: AutomationError) -> bool:
    if isinstance(error, UnreachableError) or error.status == 429:
        return True
    passing = error.status in PASSING or error.code == BUSY
    return call.repeatable and (passing or isinstance(error, ConnectionCutError))


class Wire:
    """Performs tries and pauses, and blocks while it does."""

    def __init__(self, base_url: str, token: str | None, *, transport: httpx.BaseTransport | None) -> None:
        self.base_url = checked_base_url(base_url)
        self._http = httpx.Client(transport=transport, **_manners(self.base_url, token))

    def close(self) -> None:
        self._http.close()

    def perform(self, step: Try | Pause) -> Outcome | None:
        """Do the step; an error of the service or the connection is an outcome."""
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        if time.monotonic() >= step.deadline:
            return _no_time_left(step.call), None
        try:
            return self._exchange(step)
        except FAULTS as error:
            return _outcome_of_fault(error, step, self.base_url), None

    def _exchange(self, step: Try) -> Outcome:
        request = self._http.build_request(**_request(step))
        response = self._http.send(request, stream=True)
        try:
            body = Body(step.deadline)
            for part in response.iter_bytes():
                body.add(part)
        finally:
            response.close()
        return _outcome(response, body)


class AsyncWire:
    """Performs tries and pauses, and lets others work while it waits."""

    def __init__(
        self, base_url: str, token: str | None, *, transport: httpx.AsyncBaseTransport | None
    ) -> None:
        self.base_url = checked_base_url(base_url)
        self._http = httpx.AsyncClient(transport=transport, **_manners(self.base_url, token))

    async def aclose(self) -> None:
        await self._http.aclose()

    async def perform(self, step: Try | Pause) -> Outcome | None:
        """Do the step; an error of the service or the connection is an outcome."""
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        if time.monotonic() >= step.deadline:
            return _no_time_left(step.call), None
        try:
            return await self._exchange(step)
        except FAULTS as error:
            return _outcome_of_fault(error, step, self.base_url), None

    async def _exchange(self, step: Try) -> Outcome:
        request = self._http.build_request(**_request(step))
        response = await self._http.send(request, stream=True)
        try:
            body = Body(step.deadline)
            async for part in response.aiter_bytes():
                body.add(part)
        finally:
            await response.aclose()
        return _outcome(response, body)


class Body:
    """The bytes of an answer as they come.

    httpx limits each read, not their sum: a trickling answer would outlive the deadline.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        """Keep a part; raises when the answer takes too long or is too large."""
        self._parts.append(part)
        self._size += len(part)
        if time.monotonic() > self._deadline:
            raise httpx.ReadTimeout("the answer took too long")
        if self._size > LARGEST_ANSWER:
            raise httpx.DecodingError("the answer is too large")

    def whole(self) -> bytes:
        """Give all of it."""
        return b"".join(self._parts)


def _manners(base_url: str, token: str | None) -> dict[str, Any]:
    """How either client is set up."""
    return {
        "base_url": base_url,
        "auth": TokenAuth(token) if token else None,
        "follow_redirects": False,
        # The environment's proxies and .netrc would send the token elsewhere than to base_url.
        "trust_env": False,
        # Also `*/*`: output is raw bytes, and problems have a type of their own.
        "headers": {"Accept": "application/json, application/problem+json, */*;q=0.5"},
    }


def _request(step: Try) -> dict[str, Any]:
    """What is sent for a try."""
    call = step.call
    left = max(step.deadline - time.monotonic(), 0.001)
    return {
        "method": call.method,
        "url": call.path,
        "params": dict(call.params) or None,
        "json": call.body,
        "content": call.content,
        "headers": dict(call.headers),
        "timeout": httpx.Timeout(left, connect=min(left, CONNECT_SECONDS)),
    }


def _outcome(response: httpx.Response, body: Body) -> Outcome:
    if response.status_code < 300:
        return Answer(response.status_code, response.headers, body.whole()), None
    return error_of_answer(response.status_code, _problem(body.whole())), _retry_after(response)


def _no_time_left(call: Call) -> AutomationError:
    return DeadlineExceededError(f"No time left for {call.method} {call.path}", code="deadline")


def _outcome_of_fault(error: Exception, step: Try, base_url: str) -> AutomationError:
    asked, what = f"{step.call.method} {step.call.path}", type(error).__name__
    if isinstance(error, NOTHING_SENT):
        return UnreachableError(f"{base_url} cannot be reached ({what})", code="connect.failed")
    if not isinstance(error, httpx.TransportError):
        return UnexpectedAnswerError(f"The answer cannot be read ({what})", code="answer.invalid")
    if time.monotonic() >= step.deadline:
        return DeadlineExceededError(f"No answer to {asked} in time", code="deadline")
    return ConnectionCutError(f"The connection broke in {asked} ({what})", code="cut")


def _problem(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _retry_after(response: httpx.Response) -> float | None:
    try:
        return max(float(response.headers["Retry-After"]), 0.0)
    except (KeyError, ValueError):
        return None
