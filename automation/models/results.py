"""What happened to one target in one step, and each try to make it happen."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.utils import timezone


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
    left = models.JSONField(default=list, help_text="Processes that escaped a cancel, by name.")
    # Remote offsets count bytes of the target's stream; stored ones bytes after masking.
    stdout_remote = models.PositiveBigIntegerField(default=0)
    stderr_remote = models.PositiveBigIntegerField(default=0)
    stdout_stored = models.PositiveBigIntegerField(default=0)
    stderr_stored = models.PositiveBigIntegerField(default=0)
    stdout_dropped = models.PositiveBigIntegerField(default=0)
    stderr_dropped = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint("result", "body", "number", name="attempt_number_once"),)

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
