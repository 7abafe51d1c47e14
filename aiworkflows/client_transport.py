"""One request to the automation service: deadlines, safe retries, typed errors."""

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


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `repeatable`: doing it twice does no more than doing it once."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    repeatable: bool = False


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


class Wire:
    """Sends calls until they are answered, it is unsafe to try again, or their time is over."""

    def __init__(self, base_url: str, token: str | None, *, transport: httpx.BaseTransport | None) -> None:
        self.base_url = checked_base_url(base_url)
        self._http = httpx.Client(
            base_url=self.base_url,
            auth=TokenAuth(token) if token else None,
            transport=transport,
            follow_redirects=False,
            # The environment's proxies and .netrc would send the token elsewhere than to base_url.
            trust_env=False,
            # Also `*/*`: output is raw bytes, and problems have a type of their own.
            headers={"Accept": "application/json, application/problem+json, */*;q=0.5"},
        )

    def close(self) -> None:
        self._http.close()

    def send(self, call: Call, *, timeout: float) -> Answer:
        """Answer the call within `timeout` seconds, all tries included, or raise an AutomationError."""
        deadline = time.monotonic() + timeout
        pause = FIRST_PAUSE
        while True:
            outcome, again_in = self._try_once(call, deadline)
            if isinstance(outcome, Answer):
                return outcome
            # Full jitter keeps many clients from coming back in step.
            delay = again_in if again_in is not None else random.uniform(pause / 2, pause)  # noqa: S311
            if not self._may_repeat(call, outcome) or time.monotonic() + delay >= deadline:
                raise outcome
            time.sleep(delay)
            pause = min(pause * 2, LONGEST_PAUSE)

    @staticmethod
    def _may_repeat(call: Call, error: AutomationError) -> bool:
        if isinstance(error, UnreachableError) or error.status == 429:
            return True
        passing = error.status in PASSING or error.code == BUSY
        return call.repeatable and (passing or isinstance(error, ConnectionCutError))

    def _try_once(self, call: Call, deadline: float) -> tuple[Answer | AutomationError, float | None]:
        left = deadline - time.monotonic()
        if left <= 0:
            return DeadlineExceededError(f"No time left for {call.method} {call.path}", code="deadline"), None
        try:
            return self._exchange(call, deadline)
        except NOTHING_SENT as error:
            what = type(error).__name__
            return UnreachableError(
                f"{self.base_url} cannot be reached ({what})", code="connect.failed"
            ), None
        except httpx.TransportError as error:
            if time.monotonic() >= deadline:
                return DeadlineExceededError(
                    f"No answer to {call.method} {call.path} in time", code="deadline"
                ), None
            what = type(error).__name__
            return ConnectionCutError(
                f"The connection broke in {call.method} {call.path} ({what})", code="cut"
            ), None
        except (httpx.DecodingError, httpx.InvalidURL) as error:
            what = type(error).__name__
            return UnexpectedAnswerError(f"The answer cannot be read ({what})", code="answer.invalid"), None

    def _exchange(self, call: Call, deadline: float) -> tuple[Answer | AutomationError, float | None]:
        left = max(deadline - time.monotonic(), 0.001)
        request = self._http.build_request(
            call.method,
            call.path,
            params=dict(call.params) or None,
            json=call.body,
            headers=dict(call.headers),
            timeout=httpx.Timeout(left, connect=min(left, CONNECT_SECONDS)),
        )
        response = self._http.send(request, stream=True)
        try:
            content = self._read(response, deadline)
        finally:
            response.close()
        if response.status_code < 300:
            return Answer(response.status_code, response.headers, content), None
        return error_of_answer(response.status_code, _problem(content)), _retry_after(response)

    @staticmethod
    def _read(response: httpx.Response, deadline: float) -> bytes:
        # httpx limits each read, not their sum: a trickling answer would outlive the deadline.
        parts: list[bytes] = []
        size = 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("the answer took too long")
            if size > LARGEST_ANSWER:
                raise httpx.DecodingError("the answer is too large")
        return b"".join(parts)


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
