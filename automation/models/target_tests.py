"""Tests of targets: asked for by a person, carried out by a worker, kept with what each phase took."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.models import Max, Q
from django.utils import timezone

from automation.models.inventory import Target

if TYPE_CHECKING:
    from automation.libraries.results import ConnectionTest

KEPT = 50
"""Tests of one target that are kept."""
SILENT_AFTER = timedelta(minutes=3)
"""No test takes this long: whoever carried it out is gone."""


class TargetTestQuerySet(models.QuerySet["TargetTest"]):
    def open(self) -> TargetTestQuerySet:
        """Those whose result may still come."""
        unfinished = self.exclude(state=TargetTest.State.DONE)
        return unfinished.filter(created_at__gt=timezone.now() - SILENT_AFTER)

    def claim(self, pk: int) -> TargetTest | None:
        """Take the test to carry it out; None when somebody has, or the target is gone.

        Conditional update: of two workers woken for one test, one gets it.
        """
        taken = self.filter(pk=pk, state=TargetTest.State.WAITING).update(
            state=TargetTest.State.RUNNING, started_at=timezone.now()
        )
        if not taken:
            return None
        return self.select_related("target__credential").filter(pk=pk).first()

    def last_of(self, targets: Iterable[Target]) -> dict[int, TargetTest]:
        """The newest finished test of each target that has one, by the target's id, in one query."""
        done = TargetTest.objects.filter(target__in=list(targets), state=TargetTest.State.DONE)
        newest = done.order_by().values("target").annotate(newest=Max("pk")).values("newest")
        return {test.target_id: test for test in self.filter(pk__in=newest)}

    def forget_old(self, target: Target) -> None:
        kept = self.filter(target=target).order_by("-pk").values("pk")[:KEPT]
        self.filter(target=target).exclude(pk__in=list(kept.values_list("pk", flat=True))).delete()


class TargetTest(models.Model):
    """One test of one target: how far a fresh login gets, phase by phase."""

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"

    target = models.ForeignKey(Target, on_delete=models.CASCADE, related_name="tests")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    success = models.BooleanField(null=True)
    code = models.CharField(max_length=60, blank=True)
    cause = models.TextField(blank=True)
    next_step = models.TextField(blank=True)
    phases = models.JSONField(default=list)
    host_key = models.CharField(
        max_length=100, blank=True, help_text="Fingerprint of the key that was shown."
    )
    seconds = models.FloatField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = TargetTestQuerySet.as_manager()

    class Meta:
        ordering = ("-pk",)
        constraints = (
            models.CheckConstraint(
                name="test_done_has_a_result", condition=~Q(state="done") | Q(success__isnull=False)
            ),
        )

    def __str__(self) -> str:
        return f"test {self.pk} of {self.target_id}"

    @property
    def is_open(self) -> bool:
        """The result may still come."""
        return self.state != self.State.DONE and not self.is_silent

    @property
    def is_silent(self) -> bool:
        """Nothing came back, and nothing will: the worker that carried it out is gone."""
        return self.state != self.State.DONE and self.created_at <= timezone.now() - SILENT_AFTER

    def finish(self, result: ConnectionTest, *, fingerprint: str = "") -> None:
        """Store what the library found."""
        error = result.error
        cause = [] if error is None else [f"{part}." for part in (error.message, error.cause_hint) if part]
        self._finish(
            success=result.success,
            code=result.code,
            cause=" ".join(cause),
            next_step=error.next_step if error is not None else "",
            phases=[phase.as_dict() for phase in result.phases],
            seconds=round(result.duration, 3),
            host_key=fingerprint,
        )

    def refuse(self, code: str, cause: str, next_step: str) -> None:
        """Store why nothing was tried."""
        self._finish(success=False, code=code, cause=cause, next_step=next_step)

    def _finish(self, **found: Any) -> None:
        found |= {"state": self.State.DONE, "finished_at": timezone.now()}
        for name, value in found.items():
            setattr(self, name, value)
        self.save(update_fields=list(found))
