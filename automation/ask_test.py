"""Asking for a look at targets: a test, a scan of host keys, or facts. A worker carries it out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db import transaction

from automation.models import Round, Target, TargetTest
from automation.workers.queue import enqueue

if TYPE_CHECKING:
    from django.contrib.auth.models import User

ROUND = "targets"
MANY = 1000
"""Targets that one request may have looked at."""


class TooMany(ValueError):
    """More targets at once than one request may name."""


def ask_test(target: Target, *, by: User, kind: str = TargetTest.Kind.TEST) -> TargetTest:
    """The look that will tell: a new one, or the one of this kind that is under way."""
    with transaction.atomic():
        # The target's row: of two people who ask at once, the second gets the first's test.
        Target.objects.select_for_update().get(pk=target.pk)
        under_way = target.tests.open().of_kind(kind).first()
        if under_way is not None:
            return under_way
        test = target.tests.create(asked_by=by, kind=kind)
        TargetTest.objects.forget_old(target, kind)
        enqueue("control", "test_target", test.pk)
    return test


def ask_tests(targets: Iterable[Target], *, by: User, kind: str = TargetTest.Kind.TEST) -> list[TargetTest]:
    """The same for many targets, which are looked at in rounds, a few at a time.

    Raises TooMany.
    """
    chosen = list(targets)
    if len(chosen) > MANY:
        raise TooMany(f"{len(chosen)} targets at once, at most {MANY} are possible. Choose fewer.")
    with transaction.atomic():
        locked = Target.objects.filter(pk__in=[target.pk for target in chosen]).order_by("pk")
        list(locked.select_for_update().values_list("pk", flat=True))
        open_now = TargetTest.objects.open().of_kind(kind).filter(target__in=chosen)
        known = {test.target_id: test for test in open_now}
        for target in chosen:
            if target.pk not in known:
                known[target.pk] = target.tests.create(asked_by=by, kind=kind)
        Round.hasten(ROUND)
    return [known[target.pk] for target in chosen]
