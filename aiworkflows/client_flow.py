"""Calls as flows: what to ask, when to pause and what to give, told step by step; two clients perform it.

A flow is a generator that never waits itself. It yields what it wants done, and is sent what came of it.
So the blocking and the asynchronous client share every line that decides something.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `repeatable`: doing it twice does no more than doing it once.

    `body` is sent as JSON, `content` as it is.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    content: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Try:
    """Send a call once, until `deadline` (monotonic seconds). An Outcome comes back, never an error."""

    call: Call
    deadline: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds; None comes back."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Item(Generic[T]):
    """Give this to the caller, and come back when he wants more; None comes back."""

    value: T


# What is sent back depends on what was yielded, which a Generator's type cannot tell.
Flow = Generator[Try | Pause, Any, T]
Stream = Generator[Try | Pause | Item[T], Any, None]


def next_item(stream: Stream[T]) -> Flow[T | None]:
    """Go on with a stream up to its next item; None at its end."""
    came = None
    while True:
        try:
            step = stream.send(came)
        except StopIteration:
            return None
        if isinstance(step, Item):
            return step.value
        came = yield step
