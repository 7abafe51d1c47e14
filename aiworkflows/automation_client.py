"""The one door to the automation service: over HTTP, or inside one process (`aiworkflows.in_process`)."""

from collections.abc import Callable, Iterator
from functools import wraps
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

import httpx

from aiworkflows import client_calls, client_following
from aiworkflows.client_flow import Flow, Item, Stream
from aiworkflows.client_transport import Wire

P = ParamSpec("P")
T = TypeVar("T")


def _once(
    flow: Callable[Concatenate[float, P], Flow[T]],
) -> Callable[Concatenate["AutomationClient", P], T]:
    """Make a flow a method that gives its result."""

    @wraps(flow)
    def method(client: "AutomationClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return client._finish(flow(client._timeout, *args, **kwargs))

    return method


def _each(
    stream: Callable[Concatenate[float, P], Stream[T]],
) -> Callable[Concatenate["AutomationClient", P], Iterator[T]]:
    """Make a stream a method that gives an iterator, which asks when it must."""

    @wraps(stream)
    def method(client: "AutomationClient", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return client._iterate(stream(client._timeout, *args, **kwargs))

    return method


class AutomationClient:
    """Calls of the automation API, typed; usable from any program, which needs no Django.

    `timeout` is the most seconds one call may take, all its tries included. What is safe to repeat is
    repeated: anything when no connection was made, reads, and submissions (they carry an idempotency
    key). Everything else is sent once. Raises members of the AutomationError family.
    """

    def __init__(
        self,
        base_url: str,
        token: str | None,
        *,
        transport: httpx.BaseTransport | None = None,
        timeout: float = 30.0,
    ) -> None:
        self._wire = Wire(base_url, token, transport=transport)
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._wire.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the pooled connections."""
        self._wire.close()

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

    def _finish(self, flow: Flow[T]) -> T:
        came = None
        while True:
            try:
                step = flow.send(came)
            except StopIteration as end:
                result: T = end.value
                return result
            came = self._wire.perform(step)

    def _iterate(self, stream: Stream[T]) -> Iterator[T]:
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
                came = self._wire.perform(step)
