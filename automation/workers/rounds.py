"""Rounds of looks at targets: what people asked of many at once, and what is due by the clock.

A round is one task that looks at a few targets at a time and ends after a while, so that neither the queue
nor the targets are flooded; of two rounds at once, one finds nothing to do.
"""

from __future__ import annotations

import time
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from automation.ask_test import ROUND
from automation.models import Round, Target, TargetTest
from automation.models.target_tests import PAUSE
from automation.workers.draining import draining
from automation.workers.queue import enqueue
from automation.workers.target_test import carry_out_all

SLICE_SECONDS = 60.0
"""After this no further look is begun in the same round."""
AFTER_A_REFUSAL = timedelta(days=1)
"""A login that was refused is not tried again by the clock for so long: trying may lock the account."""
AT_ONCE = 200
"""Looks that one round takes up."""


def wake_rounds() -> None:
    """Called by the sweeper: begin a round when one is due and there is something to look at."""
    if not Round.is_due(ROUND):
        return
    with transaction.atomic():
        if not Round.take(ROUND):
            return
        if _something_to_do():
            enqueue("control", "look_round", 0)
        else:
            Round.next_in(ROUND, PAUSE)


def look_round() -> None:
    """Carry out one round."""
    ends_at = time.monotonic() + SLICE_SECONDS
    try:
        for kind, every in intervals().items():
            plan_due(kind, every)
        carry_out_all(_waiting(), until=lambda: time.monotonic() < ends_at and not draining())
    finally:
        Round.next_in(ROUND, timedelta(0) if _waiting() else PAUSE)


def intervals() -> dict[str, timedelta]:
    """How often each kind of look is due; kinds that are switched off are left out."""
    minutes = {
        TargetTest.Kind.TEST: settings.OPSPORTAL_TEST_MINUTES,
        TargetTest.Kind.FACTS: settings.OPSPORTAL_FACTS_MINUTES,
    }
    return {str(kind): timedelta(minutes=each) for kind, each in minutes.items() if each}


def plan_due(kind: str, every: timedelta) -> int:
    """Make a waiting look for the targets whose last one is oldest and older than `every`; for how many.

    A target that is new gets its first one when it has been here that long.
    """
    chosen = list(_due(kind, every).order_by("pk")[:AT_ONCE])
    TargetTest.objects.bulk_create(TargetTest(target=each, kind=kind, scheduled=True) for each in chosen)
    for target in chosen:
        TargetTest.objects.forget_old(target, kind)
    return len(chosen)


def _due(kind: str, every: timedelta) -> QuerySet[Target]:
    now = timezone.now()
    recent = TargetTest.objects.of_kind(kind).filter(target=OuterRef("pk"), created_at__gt=now - every)
    old_enough = Target.objects.usable().filter(created_at__lte=now - every)
    refused = TargetTest.objects.filter(
        target=OuterRef("pk"), code__startswith="auth.", created_at__gt=now - AFTER_A_REFUSAL
    )
    return old_enough.filter(~Exists(recent), ~Exists(refused))


def _waiting() -> list[int]:
    """Looks that wait for somebody to take them up: those that people asked for first, oldest first."""
    waiting = TargetTest.objects.open().filter(state=TargetTest.State.WAITING)
    return list(waiting.order_by("scheduled", "pk").values_list("pk", flat=True)[:AT_ONCE])


def _something_to_do() -> bool:
    return bool(_waiting()) or any(_due(kind, every).exists() for kind, every in intervals().items())
