"""What happened to one target in one step, and each try to make it happen."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

RECONCILE_AFTER = (30.0, 60.0, 120.0, 300.0, 900.0)
"""Seconds from an unknown end to the first try to find it out, from that to the second, and so on."""
RECONCILE_HOURLY = 3600.0
RECONCILE_FOR = timedelta(days=7)
DIRECTORY_KEPT = timedelta(days=7)


class ResultState(models.TextChoices):
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"  # it may have run and we cannot tell; never retried by itself
    BLOCKED = "blocked"  # nothing was sent: identity, credential, plan or policy forbade it
    SKIPPED = "skipped"  # nothing was sent: condition, an earlier step, or the rollout stopped


UNFINISHED = (ResultState.PENDING, ResultState.RUNNING)
GOOD = (ResultState.SUCCEEDED, ResultState.SKIPPED)


class StepResult(models.Model):
    """One target in one step. All rows exist from submission: they are plan, work queue and audit."""

    run = models.ForeignKey("JobRun", on_delete=models.CASCADE, related_name="results")
    run_target = models.ForeignKey("RunTarget", on_delete=models.CASCADE, related_name="results")
    step_index = models.PositiveSmallIntegerField()
    step = models.CharField(max_length=100)
    state = models.CharField(max_length=12, choices=ResultState, default=ResultState.PENDING)
    code = models.CharField(max_length=60, blank=True)
    message = models.TextField(blank=True)
    exit_code = models.IntegerField(null=True)
    verified = models.BooleanField(null=True)
    undone = models.BooleanField(null=True, help_text="False: its undo was tried and failed.")
    outputs = models.JSONField(default=dict)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("run", "run_target", "step_index")
        constraints = (models.UniqueConstraint("run_target", "step_index", name="result_once"),)

    def __str__(self) -> str:
        return f"{self.step}: {self.state}"


class AttemptState(models.TextChoices):
    CLAIMED = "claimed"  # being connected; nothing was sent
    DISPATCHING = "dispatching"  # the intent is durable; it may have been sent
    RUNNING = "running"  # the target said that it took it
    ENDED = "ended"
    FENCED = "fenced"  # can never start
    UNKNOWN = "unknown"


OPEN_ATTEMPTS = (AttemptState.CLAIMED, AttemptState.DISPATCHING, AttemptState.RUNNING)


class AttemptQuerySet(models.QuerySet["Attempt"]):
    def to_reconcile(self) -> AttemptQuerySet:
        """Those whose end nobody knows and the machine is to ask for by now, should their run be over."""
        return self.filter(reconcile_at__lte=timezone.now(), state=AttemptState.UNKNOWN)

    def leave_to_a_person(self) -> int:
        """The machine asks for none of these ends any more; how many it would have asked for."""
        asked = self.filter(state=AttemptState.UNKNOWN, reconcile_at__isnull=False)
        return asked.update(reconcile_at=None)

    def to_forget(self, target_ids: list[int]) -> AttemptQuerySet:
        """Those whose directories on these targets may go, the oldest first."""
        # A sum, so that no database goes by the index of targets, through all that ever ran on them.
        place = F("result__run_target__target") + 0
        due = self.filter(forget_at__lte=timezone.now()).alias(place=place)
        return due.filter(place__in=target_ids).order_by("forget_at")

    def forgotten(self, ids: list[uuid.UUID]) -> None:
        """The targets have deleted these directories."""
        self.filter(pk__in=ids).update(forget_at=None)


class Attempt(models.Model):
    """One try to start one body of one step on one target."""

    class Body(models.TextChoices):
        RUN = "run"
        CHECK = "check"
        VERIFY = "verify"
        UNDO = "undo"

    class Mode(models.TextChoices):
        ENVELOPE = "envelope"
        PLAIN = "plain"  # a read: repeatable, needs no guard
        DIRECT = "direct"  # nowhere to keep a guard: loss means unknown

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    result = models.ForeignKey(StepResult, on_delete=models.CASCADE, related_name="attempts")
    body = models.CharField(max_length=10, choices=Body)
    number = models.PositiveSmallIntegerField()
    after_undo = models.BooleanField(default=False, help_text="A verify that looks whether all is as before.")
    state = models.CharField(max_length=12, choices=AttemptState, default=AttemptState.CLAIMED)
    mode = models.CharField(max_length=10, choices=Mode)
    become = models.BooleanField()
    host_key = models.CharField(max_length=100, blank=True, help_text="Fingerprint that the target proved.")
    credential_version = models.PositiveIntegerField(null=True)
    spool = models.CharField(max_length=500, blank=True)
    spool_id = models.CharField(max_length=64, blank=True)
    intent_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    exit_code = models.IntegerField(null=True)
    how = models.CharField(max_length=20, blank=True)
    code = models.CharField(max_length=60, blank=True)
    message = models.TextField(blank=True)
    superseded = models.BooleanField(
        default=False, help_text="It ended badly and its step's retry rule asked for another."
    )
    left = models.JSONField(default=list, help_text="Processes that escaped a cancel, by name.")
    # Remote offsets count bytes of the target's stream; stored ones bytes after masking.
    stdout_remote = models.PositiveBigIntegerField(default=0)
    stderr_remote = models.PositiveBigIntegerField(default=0)
    stdout_stored = models.PositiveBigIntegerField(default=0)
    stderr_stored = models.PositiveBigIntegerField(default=0)
    stdout_dropped = models.PositiveBigIntegerField(default=0)
    stderr_dropped = models.PositiveBigIntegerField(default=0)
    reconcile_at = models.DateTimeField(
        null=True, help_text="When its unknown end is asked for next; empty: never."
    )
    reconcile_tries = models.PositiveSmallIntegerField(default=0)
    forget_at = models.DateTimeField(
        null=True, help_text="When its directory on the target may go; empty: there is none to delete."
    )

    objects = AttemptQuerySet.as_manager()

    class Meta:
        constraints = (models.UniqueConstraint("result", "body", "number", name="attempt_number_once"),)
        # Nearly every attempt has neither, so these cost its rows nothing.
        indexes = (
            models.Index("reconcile_at", condition=Q(reconcile_at__isnull=False), name="attempt_reconcile"),
            models.Index("forget_at", condition=Q(forget_at__isnull=False), name="attempt_forget"),
        )

    def __str__(self) -> str:
        return f"{self.body} {self.number} {self.state}"

    @property
    def part(self) -> str:
        """What this attempt is to its step: its body, and apart from it the verify after an undo."""
        return "verify_undo" if self.after_undo else self.body

    @property
    def intent_age(self) -> float:
        """Seconds since the intent was made durable, by the portal's clock."""
        return (timezone.now() - self.intent_at).total_seconds() if self.intent_at else 0.0

    def become_unknown(self) -> None:
        """It may have run and we cannot tell. Where a guard keeps the account, it is asked for later."""
        self.state, self.ended_at = AttemptState.UNKNOWN, timezone.now()
        if self.mode == Attempt.Mode.ENVELOPE:
            self.reconcile_at = next_reconcile(0)

    def claim_reconcile(self) -> bool:
        """Take the due try and set the next; False when another worker, or a person, was first."""
        due = Attempt.objects.filter(pk=self.pk, state=AttemptState.UNKNOWN, reconcile_at=self.reconcile_at)
        tries = self.reconcile_tries + 1
        following = next_reconcile(tries)
        if not due.update(reconcile_at=following, reconcile_tries=tries):
            return False
        self.reconcile_at, self.reconcile_tries = following, tries
        return True

    def stop_asking(self) -> bool:
        """After RECONCILE_FOR nobody asks any more; whether it has come to that."""
        first = self.ended_at or timezone.now()
        if self.reconcile_at is not None and self.reconcile_at <= first + RECONCILE_FOR:
            return False
        self.reconcile_at = None
        return True

    def keep_directory(self) -> None:
        """Its end is stored: what the target keeps of it may go later."""
        if self.mode == Attempt.Mode.ENVELOPE and self.intent_at is not None:
            self.forget_at = timezone.now() + DIRECTORY_KEPT


def next_reconcile(tries: int) -> datetime:
    """When to ask, after so many tries, for an end that nobody knows."""
    seconds = RECONCILE_AFTER[tries] if tries < len(RECONCILE_AFTER) else RECONCILE_HOURLY
    return timezone.now() + timedelta(seconds=seconds)


class OutputChunkQuerySet(models.QuerySet["OutputChunk"]):
    def covering(self, attempt: Any, stream: str, offset: int) -> OutputChunkQuerySet:
        """Chunks of one stream with anything at or after `offset`, in order."""
        return self.filter(attempt=attempt, stream=stream, end__gt=offset).order_by("offset")


class OutputChunk(models.Model):
    """A piece of one stream of one attempt, masked. A gap between two chunks is output that was dropped."""

    attempt = models.ForeignKey(Attempt, on_delete=models.CASCADE, related_name="chunks")
    stream = models.CharField(max_length=6)
    offset = models.PositiveBigIntegerField()
    end = models.PositiveBigIntegerField()
    data = models.BinaryField()

    objects = OutputChunkQuerySet.as_manager()

    class Meta:
        constraints = (models.UniqueConstraint("attempt", "stream", "offset", name="chunk_offset_once"),)

    def __str__(self) -> str:
        return f"{self.stream}[{self.offset}:{self.end}]"
