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
    from automation.libraries.errors import LibraryError
    from automation.libraries.results import ConnectionTest

KEPT = 50
"""Tests of one target that are kept, of each kind."""
SILENT_AFTER = timedelta(minutes=3)
"""No test takes this long: whoever carried it out is gone."""
WAITS_AT_MOST = timedelta(minutes=30)
"""With many targets to test, one may have to wait for its turn."""


class TargetTestQuerySet(models.QuerySet["TargetTest"]):
    def open(self) -> TargetTestQuerySet:
        """Those whose result may still come."""
        now = timezone.now()
        return self.filter(
            Q(state=TargetTest.State.WAITING, created_at__gt=now - WAITS_AT_MOST)
            | Q(state=TargetTest.State.RUNNING, started_at__gt=now - SILENT_AFTER)
        )

    def of_kind(self, kind: str) -> TargetTestQuerySet:
        return self.filter(kind=kind)

    def claim(self, pk: int) -> TargetTest | None:
        """Take the test to carry it out; None when somebody has, or the target is gone.

        Conditional update: of two workers woken for one test, one gets it.
        """
        taken = self.filter(pk=pk, state=TargetTest.State.WAITING).update(
            state=TargetTest.State.RUNNING, started_at=timezone.now()
        )
        if not taken:
            return None
        return self.select_related("target__credential", "asked_by").filter(pk=pk).first()

    def last_of(self, targets: Iterable[Target]) -> dict[int, TargetTest]:
        """The newest finished test of each target that has one, by the target's id, in one query."""
        done = TargetTest.objects.filter(
            target__in=list(targets), state=TargetTest.State.DONE, kind=TargetTest.Kind.TEST
        )
        newest = done.order_by().values("target").annotate(newest=Max("pk")).values("newest")
        return {test.target_id: test for test in self.filter(pk__in=newest)}

    def forget_old(self, target: Target, kind: str) -> None:
        same = self.filter(target=target, kind=kind)
        kept = same.order_by("-pk").values("pk")[:KEPT]
        same.exclude(pk__in=list(kept.values_list("pk", flat=True))).delete()


class TargetTest(models.Model):
    """One look at one target, asked for by a person or due by the clock.

    `test`: how far a fresh login gets, phase by phase, and what changing steps will find. `scan`: which host
    keys it shows, without a login. `facts`: what the machine says of itself.
    """

    class Kind(models.TextChoices):
        TEST = "test"
        SCAN = "scan"
        FACTS = "facts"

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"

    kind = models.CharField(max_length=10, choices=Kind, default=Kind.TEST)
    scheduled = models.BooleanField(default=False)
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
        indexes = (models.Index("kind", "target", "state", name="target_tests_by_kind"),)
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
        if self.state == self.State.RUNNING and self.started_at is not None:
            return self.started_at <= timezone.now() - SILENT_AFTER
        return self.state != self.State.DONE and self.created_at <= timezone.now() - WAITS_AT_MOST

    def finish(self, result: ConnectionTest, *, fingerprint: str = "") -> None:
        """Store what the library found."""
        error = result.error
        self._finish(
            success=result.success,
            code=result.code,
            cause=_cause(error),
            next_step=error.next_step if error is not None else "",
            phases=[phase.as_dict() for phase in result.phases],
            seconds=round(result.duration, 3),
            host_key=fingerprint,
        )

    def conclude(self, error: LibraryError | None, *, seconds: float) -> None:
        """Store the end of a look that has no phases."""
        self._finish(
            success=error is None,
            code=error.code if error is not None else "ok",
            cause=_cause(error),
            next_step=error.next_step if error is not None else "",
            seconds=round(seconds, 3),
        )

    def refuse(self, code: str, cause: str, next_step: str) -> None:
        """Store why nothing was tried."""
        self._finish(success=False, code=code, cause=cause, next_step=next_step)

    def _finish(self, **found: Any) -> None:
        found |= {"state": self.State.DONE, "finished_at": timezone.now()}
        for name, value in found.items():
            setattr(self, name, value)
        self.save(update_fields=list(found))


def _cause(error: LibraryError | None) -> str:
    if error is None:
        return ""
    return " ".join(f"{part}." for part in (error.message, error.cause_hint) if part)


class Round(models.Model):
    """When the next round of looks at targets is due. One worker at a time carries it out."""

    LEASE = timedelta(minutes=3)
    """A round is over long before; whoever has not ended it by then is gone."""

    name = models.CharField(max_length=20, unique=True)
    due_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def is_due(cls, name: str) -> bool:
        """Whether it is worth trying to take it; asked every second, so without writing."""
        return not cls.objects.filter(name=name, due_at__gt=timezone.now()).exists()

    @classmethod
    def take(cls, name: str) -> bool:
        """Whether the round is due and now the caller's: of two workers who ask at once, one gets it."""
        now = timezone.now()
        cls.objects.get_or_create(name=name, defaults={"due_at": now})
        return bool(cls.objects.filter(name=name, due_at__lte=now).update(due_at=now + cls.LEASE))

    @classmethod
    def next_in(cls, name: str, pause: timedelta) -> None:
        """The round is over; the next one may begin after the pause."""
        cls.objects.filter(name=name).update(due_at=timezone.now() + pause)

    @classmethod
    def hasten(cls, name: str) -> None:
        """Somebody waits: the next round begins now, unless one is under way, whose end looks again."""
        cls.objects.filter(name=name, due_at__lte=timezone.now() + PAUSE).update(due_at=timezone.now())


PAUSE = timedelta(seconds=20)
"""Between two rounds."""
