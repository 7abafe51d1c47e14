"""Asking for a test of a target; a worker carries it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from automation.models import Target, TargetTest
from automation.workers.queue import enqueue

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def ask_test(target: Target, *, by: User) -> TargetTest:
    """The test that will tell how far a login on this target gets: a new one, or the one under way."""
    with transaction.atomic():
        # The target's row: of two people who ask at once, the second gets the first's test.
        Target.objects.select_for_update().get(pk=target.pk)
        under_way = target.tests.open().first()
        if under_way is not None:
            return under_way
        test = target.tests.create(asked_by=by)
        TargetTest.objects.forget_old(target)
        enqueue("control", "test_target", test.pk)
    return test
