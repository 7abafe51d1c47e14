"""A run as it happens: its end, its events and its output, as flows over cut connections."""

import time
from collections.abc import Mapping
from typing import Final

from aiworkflows.client_calls import results, status
from aiworkflows.client_errors import (
    ConnectionCutError,
    DeadlineExceededError,
    EventGapError,
    UnexpectedAnswerError,
    UnreachableError,
)
from aiworkflows.client_flow import Call, Flow, Item, Pause, Stream, next_item
from aiworkflows.client_transport import API, FIRST_PAUSE, sending
from aiworkflows.client_types import FINAL_STEP_STATES, Event, EventPage, Run

LONG_POLL: Final = 20.0
OUTAGE: Final = 120.0


def wait(within: float, run: int, timeout: float) -> Flow[Run]:
    """Wait until a run is over; DeadlineExceededError after `timeout` seconds (the run goes on)."""
    deadline = time.monotonic() + timeout
    while True:
        current = yield from status(max(deadline - time.monotonic(), 1.0), run)
        left = deadline - time.monotonic()
        if current.final:
            return current
        if left <= 0:
            raise DeadlineExceededError(f"Run {int(run)} is still {current.status}", code="wait.timeout")
        asked = time.monotonic()
        poll = min(left, LONG_POLL)
        yield from _event_page(within, run, current.last_seq, poll=poll, until=asked + left + 1.0)
        # A service that answers at once although nothing happened must not be asked in a tight loop.
        yield Pause(max(0.0, min(0.2, left) - (time.monotonic() - asked)))


def events(
    within: float, run: int, after: int = 0, *, outage: float = OUTAGE, until: float | None = None
) -> Stream[Event]:
    """Give a run's events after number `after`, in order, each once, until the run is over.

    With `until` (monotonic seconds) the iterator also ends then, over or not.

    Survives cut connections and a service that is away for up to `outage` seconds.
    Raises EventGapError rather than deliver a story with a hole in it.
    """
    position = after
    while until is None or time.monotonic() < until:
        now = time.monotonic()
        poll = LONG_POLL if until is None else max(0.0, min(LONG_POLL, until - now))
        page = yield from _event_page(within, run, position, poll=poll, until=now + LONG_POLL + outage)
        for event in page.events:
            if event.seq <= position:
                continue
            if event.seq != position + 1:
                raise _gap(run, position + 1, event.seq)
            position = event.seq
            yield Item(event)
        if page.final and not page.events:
            if page.last > position:
                raise _gap(run, position + 1, page.last)
            return


def logs(  # the coordinates of one output
    within: float,
    run: int,
    target: str,
    step: str,
    *,
    body: str = "run",
    stream: str = "stdout",
    follow: bool = False,
    attempt: str | None = None,
) -> Stream[bytes]:
    """Give a step's output on a target as it was stored, in pieces; `follow` waits for all of it."""
    where = {"target": target, "step": step, "body": body, "stream": stream}
    where |= {"attempt": attempt} if attempt else {}
    signs: Stream[Event] | None = None
    if follow:
        # The run's number is read before the bytes: what grows in between is announced after it.
        after = (yield from status(within, run)).last_seq
        signs = _growth(within, run, where, after)
    offset, complete, over = 0, False, False
    while not complete:
        piece, offset, complete = yield from _piece(within, run, where, offset)
        if piece:
            yield Item(piece)
        elif over:
            return
        elif not complete:
            # One more look after the last sign: it may have come with the last bytes.
            over = signs is None or (yield from next_item(signs)) is None


def _growth(within: float, run: int, where: Mapping[str, str], after: int) -> Stream[Event]:
    """Give a sign whenever there may be more output; end when there can be no more."""
    if where["body"] == "run" and (yield from _step_is_over(within, run, where)):
        return
    story = events(within, run, after)
    while (event := (yield from next_item(story))) is not None:
        if (event.target, event.step) != (where["target"], where["step"]):
            continue
        over = event.kind == "step" and event.body in {"", "run"} and event.state in FINAL_STEP_STATES
        if over and where["body"] == "run":
            return
        if event.kind == "output" and event.stream == where["stream"]:
            yield Item(event)


def _step_is_over(within: float, run: int, where: Mapping[str, str]) -> Flow[bool]:
    """Say whether the step's last known state is one that it keeps."""
    rows, state = results(within, run), ""
    while (row := (yield from next_item(rows))) is not None:
        if (row.target, row.step) == (where["target"], where["step"]):
            state = row.state
    return state in FINAL_STEP_STATES


def _piece(within: float, run: int, where: Mapping[str, str], offset: int) -> Flow[tuple[bytes, int, bool]]:
    """Fetch what is stored from `offset`; also say where to go on, and whether nothing follows."""
    params = {**where, "offset": str(offset)}
    call = Call("GET", f"{API}runs/{int(run)}/output/", params=params, repeatable=True)
    answer = yield from sending(call, within=within)
    complete = answer.headers.get("X-Complete") == "true"
    # Where the middle was dropped, the piece begins later than was asked for.
    following = answer.headers.get("X-Next-Offset", "")
    if following.isdigit() and int(following) >= offset:
        return answer.content, int(following), complete
    return answer.content, offset + len(answer.content), complete


def _event_page(within: float, run: int, after: int, *, poll: float, until: float) -> Flow[EventPage]:
    """Ask for the next events, `poll` seconds at a time, again over outages until `until`."""
    params = {"after": str(after), "wait": f"{poll:g}"}
    call = Call("GET", f"{API}runs/{int(run)}/events/", params=params, repeatable=True)
    while True:
        # A half-open connection shows only as silence: each try is short, the next one connects anew.
        patience = min(poll + within, until - time.monotonic())
        try:
            answer = yield from sending(call, within=patience)
        except (DeadlineExceededError, UnreachableError, ConnectionCutError):
            if time.monotonic() >= until - FIRST_PAUSE:
                raise
            yield Pause(FIRST_PAUSE)
            continue
        try:
            return EventPage.from_json(answer.json())
        except (KeyError, TypeError, ValueError) as error:
            raise UnexpectedAnswerError("The events have a wrong shape", code="answer.invalid") from error


def _gap(run: int, expected: int, got: int) -> EventGapError:
    return EventGapError(f"Run {int(run)}: event {expected} is missing before {got}", code="events.gap")
