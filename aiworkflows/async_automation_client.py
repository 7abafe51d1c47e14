"""The asynchronous twin of AutomationClient: the same calls, performed without blocking."""

from collections.abc import AsyncIterator, Callable, Coroutine
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from aiworkflows import client_calls, client_following
from aiworkflows.client_flow import Flow, Item, Stream
from aiworkflows.client_transport import AsyncWire

P = ParamSpec("P")
T = TypeVar("T")


def _once(
    flow: Callable[Concatenate[float, P], Flow[T]],
) -> Callable[Concatenate["AsyncAutomationClient", P], Coroutine[Any, Any, T]]:
    """Make a flow a coroutine method that gives its result."""

    @wraps(flow)
    async def method(client: "AsyncAutomationClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await client._finish(flow(client._timeout, *args, **kwargs))

    return method


def _each(
    stream: Callable[Concatenate[float, P], Stream[T]],
) -> Callable[Concatenate["AsyncAutomationClient", P], AsyncIterator[T]]:
    """Make a stream a method that gives an asynchronous iterator, which asks when it must."""

    @wraps(stream)
    def method(client: "AsyncAutomationClient", /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return client._iterate(stream(client._timeout, *args, **kwargs))

    return method


class AsyncAutomationClient:
    """Calls of the automation API, typed, for asyncio: promises, retries and errors are AutomationClient's.

    A task that is cancelled drops its request; what a change asked for until then may have been made.
    """

    def __init__(
        self,
        base_url: str,
        token: str | None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout: float = 30.0,
    ) -> None:
        self._wire = AsyncWire(base_url, token, transport=transport)
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._wire.base_url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of the pooled connections."""
        await self._wire.aclose()

    me = _once(client_calls.me)
    health = _once(client_calls.health)
    targets = _each(client_calls.targets)
    groups = _each(client_calls.groups)
    workflows = _each(client_calls.workflows)

    files = _each(client_calls.files)
    store_file = _once(client_calls.store_file)
    file_content = _once(client_calls.file_content)

    propose = _once(client_calls.propose)
    proposal = _once(client_calls.proposal)
    answer = _once(client_calls.answer)
    submit_proposal = _once(client_calls.submit_proposal)

    submit = _once(client_calls.submit)
    submit_command = _once(client_calls.submit_command)
    rerun = _once(client_calls.rerun)
    runs = _each(client_calls.runs)
    status = _once(client_calls.status)
    plan = _each(client_calls.plan)
    results = _each(client_calls.results)
    forecast = _each(client_calls.forecast)
    cancel = _once(client_calls.cancel)
    pause = _once(client_calls.pause)
    resume = _once(client_calls.resume)
    start = _once(client_calls.start)
    approve = _once(client_calls.approve)
    reject = _once(client_calls.reject)

    wait = _once(client_following.wait)
    events = _each(client_following.events)
    logs = _each(client_following.logs)

    async def _finish(self, flow: Flow[T]) -> T:
        came = None
        while True:
            try:
                step = flow.send(came)
            except StopIteration as end:
                result: T = end.value
                return result
            came = await self._wire.perform(step)

    async def _iterate(self, stream: Stream[T]) -> AsyncIterator[T]:
        came = None
        while True:
            try:
                step = stream.send(came)
            except StopIteration:
                return
            if isinstance(step, Item):
                yield step.value
                came = None
            else:
                came = await self._wire.perform(step)
