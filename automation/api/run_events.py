"""A run's story, from a number on, waiting for more if asked to."""

from __future__ import annotations

import time
from typing import Any

from rest_framework.exceptions import NotAuthenticated, NotFound
from rest_framework.request import Request

from automation.api.authentication import still_valid
from automation.api.pages import whole_number
from automation.api.problems import Problem
from automation.models import Event, JobRun
from automation.models.runs import FINAL

LONGEST_WAIT = 30.0
MAX_EVENTS = 1000
LOOK_EVERY = 0.1


def events_answer(request: Request, run: JobRun) -> dict[str, Any]:
    """`{"events", "last", "final"}`: the events after `after`, at most `limit`.

    `last` is the number of the last of them, or of the run's last event when there is none; `final` says that
    the run is over and nothing follows `last`. With `wait` seconds, an empty answer waits that long for more.
    """
    after = whole_number(request, "after", default=0, at_least=0, at_most=2**63 - 1)
    limit = whole_number(request, "limit", default=200, at_least=1, at_most=MAX_EVENTS)
    wait = _seconds(request)
    if wait:
        _await_news(run.pk, after, wait)
        if not still_valid(request):
            raise NotAuthenticated
    # The run before its events: final then, its story is whole now.
    status, last_seq = _standing(run.pk)
    events = [
        event.as_dict() for event in Event.objects.filter(run=run, seq__gt=after).order_by("seq")[:limit]
    ]
    last = events[-1]["seq"] if events else last_seq
    return {"events": events, "last": last, "final": status in FINAL and last >= last_seq}


def _standing(run_id: int) -> tuple[str, int]:
    try:
        return JobRun.objects.values_list("status", "last_seq").get(pk=run_id)
    except JobRun.DoesNotExist:
        # Deleted while somebody waited for more of it.
        raise NotFound from None


def _await_news(run_id: int, after: int, wait: float) -> None:
    """Return when there is something after `after`, the run is over, or `wait` seconds have passed.

    Each look is a query of its own by primary key, outside any transaction, so that it sees what others
    commit and holds nothing.
    """
    until = time.monotonic() + wait
    while True:
        status, last_seq = _standing(run_id)
        left = until - time.monotonic()
        if last_seq > after or status in FINAL or left <= 0:
            return
        time.sleep(min(LOOK_EVERY, left))


def _seconds(request: Request) -> float:
    text = request.query_params.get("wait", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_WAIT:
        message = f"wait must be seconds from 0 to {LONGEST_WAIT:g}."
        raise Problem(message, code="query.invalid", errors=[{"field": "wait", "message": message}])
    return seconds
