"""Runs: one submission of one frozen plan, its targets, and the shards that workers carry."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from automation.models.access import may
from automation.models.notices import story_goes_on
from automation.models.rows import insert_rows
from automation.policy.rules import Facts

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

RESTORED = "portal.restored"
"""Code of everything that a restored backup ended."""
APPROVAL_LASTS = timedelta(hours=24)


class RunStatus(models.TextChoices):
    HELD = "held"
    AWAITING_APPROVAL = "awaiting_approval"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"  # every target is good
    PARTIAL = "partial"  # some are
    FAILED = "failed"  # none is
    CANCELLED = "cancelled"
    ERRORED = "errored"  # we broke, not the targets
    REJECTED = "rejected"
    EXPIRED = "expired"


WAITING = (RunStatus.HELD, RunStatus.AWAITING_APPROVAL)
LIVE = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.PAUSED)
FINAL = tuple(s for s in RunStatus if s not in (*WAITING, *LIVE))


class IllegalTransition(Exception):
    """The run is in a state that does not allow what was asked."""

    def __init__(self, run: JobRun, wanted: str) -> None:
        self.status = run.status
        super().__init__(f"Run {run.pk} is {run.status}: it cannot be {wanted}.")


class JobRunQuerySet(models.QuerySet["JobRun"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> JobRunQuerySet:
        return self if may(user, "runs:read") else self.none()

    def decidable_by(self, user: AbstractBaseUser | AnonymousUser) -> JobRunQuerySet:
        """Those that still wait for a decision this person may give, as `decide.refusal` says of one run."""
        if not may(user, "runs:approve"):
            return self.none()
        waiting = self.filter(status=RunStatus.AWAITING_APPROVAL, expires_at__gt=timezone.now())
        return waiting.exclude(participants__user=user.pk)

    def asked_for_by(self, user: AbstractBaseUser | AnonymousUser) -> JobRunQuerySet:
        """Those that this person had a part in asking for."""
        return self.filter(participants__user=user.pk, participants__part="requester")

    def locked(self, pk: int) -> JobRun:
        """The run, its row held until the end of the transaction; every writer takes it first."""
        return self.select_for_update().get(pk=pk)

    def due(self) -> JobRunQuerySet:
        """Live runs whose time to be looked at has come."""
        return self.filter(status__in=LIVE, wake_at__lte=timezone.now())

    def overdue_for_approval(self) -> JobRunQuerySet:
        return self.filter(status__in=WAITING, expires_at__lte=timezone.now())


class JobRun(models.Model):
    """One submission of one workflow on fixed targets.

    held → awaiting_approval → queued → running ⇄ paused → succeeded | partial | failed | cancelled | errored,
    or rejected | expired. All counters change under the run's row lock.
    """

    workflow_version = models.ForeignKey("WorkflowVersion", null=True, on_delete=models.PROTECT)
    workflow_name = models.CharField(max_length=100)
    status = models.CharField(max_length=20, choices=RunStatus, db_index=True)
    header = models.TextField(help_text="Canonical JSON; what the header hash covers, to the byte.")
    header_hash = models.CharField(max_length=64)
    plan_hash = models.CharField(max_length=64)

    tier = models.CharField(max_length=12)
    findings = models.JSONField(default=list)
    blast_radius = models.JSONField(default=dict)
    approvals_required = models.PositiveSmallIntegerField(default=0)
    policy_version = models.CharField(max_length=64)

    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="submitted_runs"
    )
    token = models.ForeignKey("ApiToken", null=True, on_delete=models.SET_NULL)
    author_kind = models.CharField(max_length=10, default="person")
    reason = models.TextField(blank=True)
    source = models.JSONField(default=dict)
    asked = models.JSONField(default=dict, help_text="Definition and rollout as given, for a run again.")
    repeats = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="repeated_by")
    dry_run = models.BooleanField(default=False)

    total = models.PositiveIntegerField()
    max_failures = models.PositiveIntegerField()
    max_parallel = models.PositiveIntegerField()
    bad = models.PositiveIntegerField(default=0)
    in_flight = models.PositiveIntegerField(default=0, help_text="Targets between first change and last end.")
    batch = models.IntegerField(default=-1, help_text="The batch that is open; -1 before the first.")
    stop_code = models.CharField(max_length=40, blank=True)
    cancel_requested = models.BooleanField(default=False)
    last_seq = models.PositiveBigIntegerField(default=0)

    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    wake_at = models.DateTimeField(null=True, db_index=True)
    bake_until = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = JobRunQuerySet.as_manager()

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"run {self.pk} of {self.workflow_name}"

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def stopped(self) -> bool:
        """No target that has not begun to change may begin."""
        return bool(self.stop_code) or self.cancel_requested

    @property
    def is_resting(self) -> bool:
        """Paused, and nobody has asked for its end: no target that has not begun may begin."""
        return self.status == RunStatus.PAUSED and not self.stopped

    def policy_facts(self) -> Facts:
        """What the policy may look at, as the plan froze it."""
        environments = self.blast_radius.get("by_environment", {})
        return Facts(
            tier="read" if self.dry_run else self.tier,  # type: ignore[arg-type] # written from a Tier
            author=self.author_kind,  # type: ignore[arg-type] # written from an AuthorKind
            environments=frozenset(name.lower() for name in environments if name != "none"),
            targets=self.total,
        )

    def tell(self, events: list[dict[str, Any]]) -> None:
        """Append events to the run's story. The caller holds the row lock, so numbers have no gap."""
        from_seq = self.last_seq
        now = timezone.now()
        insert_rows(
            [Event(run=self, seq=from_seq + n, at=now, data=data) for n, data in enumerate(events, start=1)]
        )
        self.last_seq = from_seq + len(events)
        self.save(update_fields=["last_seq"])
        story_goes_on(self.pk)

    def move(self, status: str, *, code: str = "", message: str = "") -> None:
        """Change the status and tell it. The caller holds the row lock."""
        self.status = status
        fields = ["status"]
        if status == RunStatus.RUNNING and self.started_at is None:
            self.started_at = timezone.now()
            fields.append("started_at")
        if status in FINAL:
            self.finished_at, self.wake_at = timezone.now(), None
            fields += ["finished_at", "wake_at"]
            # Nothing of this run will be sent any more.
            self.secrets.all().delete()
        self.save(update_fields=fields)
        self._tell_status(code, message)

    def correct(self, status: str, *, code: str, message: str) -> None:
        """Change a final status for another, for more is known now. The caller holds the row lock.

        The run stays finished since when it was.
        """
        self.status = status
        self.save(update_fields=["status"])
        self._tell_status(code, message)

    def status_with(self, good: int) -> RunStatus:
        """The final status of a run with so many good targets that neither was cancelled nor broke."""
        if good == self.total:
            return RunStatus.SUCCEEDED
        return RunStatus.PARTIAL if good else RunStatus.FAILED

    def _tell_status(self, code: str, message: str) -> None:
        event = {"kind": "run", "state": str(self.status), "code": code, "message": message}
        self.tell([{key: value for key, value in event.items() if value}])

    def wake(self, *, after: float = 0) -> None:
        """Have the run looked at `after` seconds from now, whatever becomes of the queue."""
        self.wake_at = timezone.now() + timedelta(seconds=after)
        self.save(update_fields=["wake_at"])


class RunTargetQuerySet(models.QuerySet["RunTarget"]):
    def of_batch(self, number: int) -> RunTargetQuerySet:
        return self.filter(batch=number)

    def open(self) -> RunTargetQuerySet:
        return self.exclude(state=RunTarget.State.DONE)


class RunTarget(models.Model):
    """A target as the plan froze it, and how far the run has come with it."""

    class State(models.TextChoices):
        PENDING = "pending"
        CHANGING = "changing"  # counted in run.in_flight, its lock is ours
        DONE = "done"

    run = models.ForeignKey(JobRun, on_delete=models.CASCADE, related_name="targets")
    target = models.ForeignKey("Target", null=True, on_delete=models.SET_NULL, related_name="runs")
    name = models.CharField(max_length=100)
    position = models.PositiveIntegerField()
    batch = models.PositiveIntegerField(db_index=True)
    shard = models.ForeignKey("Shard", null=True, on_delete=models.SET_NULL, related_name="targets")
    leaf = models.TextField(help_text="Canonical JSON; what the leaf hash covers, to the byte.")
    leaf_hash = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    good = models.BooleanField(null=True)

    objects = RunTargetQuerySet.as_manager()

    class Meta:
        ordering = ("run", "position")
        constraints = (models.UniqueConstraint("run", "position", name="run_target_position_once"),)

    def __str__(self) -> str:
        return f"{self.name} in run {self.run_id}"


class ShardQuerySet(models.QuerySet["Shard"]):
    def claim(self, pk: int, *, owner: str, clock: str, now: float, lease: float) -> Shard | None:
        """Take the shard if nobody holds it; the token fences whoever held it before.

        Conditional update: of two workers woken for one shard, one gets the row and the other gets None.
        """
        free = Q(state=Shard.State.QUEUED) | Q(state=Shard.State.RUNNING) & (
            ~Q(lease_clock=clock) | Q(lease_until__lt=now)
        )
        taken = self.filter(free, pk=pk).update(
            state=Shard.State.RUNNING,
            lease_owner=owner,
            lease_clock=clock,
            lease_until=now + lease,
            lease_token=F("lease_token") + 1,
        )
        return self.select_related("run").get(pk=pk) if taken else None

    def lost(self, *, clock: str, now: float) -> ShardQuerySet:
        """Running shards whose holder let the lease lapse, or whose machine was restarted."""
        lapsed = ~Q(lease_clock=clock) | Q(lease_until__lt=now)
        return self.filter(lapsed, state=Shard.State.RUNNING)

    def end_leases(self, owner: str) -> int:
        """The holder is known to be dead: what it held is free at once."""
        return self.filter(lease_owner=owner, state=Shard.State.RUNNING).update(lease_until=0)


class Shard(models.Model):
    """Targets of one batch that one worker process handles."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"

    LEASE_SECONDS: ClassVar[float] = 20.0

    run = models.ForeignKey(JobRun, on_delete=models.CASCADE, related_name="shards")
    batch = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED, db_index=True)
    lease_owner = models.CharField(max_length=64, blank=True, db_index=True)
    lease_token = models.PositiveIntegerField(default=0)
    lease_until = models.FloatField(default=0, help_text="Seconds on the clock named by lease_clock.")
    lease_clock = models.CharField(max_length=64, blank=True)
    woken_at = models.DateTimeField(default=timezone.now)
    breaks = models.PositiveSmallIntegerField(
        default=0, help_text="How often carrying it failed on our side."
    )

    objects = ShardQuerySet.as_manager()

    def __str__(self) -> str:
        return f"shard {self.pk} of run {self.run_id}"

    def renew(self, *, now: float) -> bool:
        """Hold on for another lease; False when somebody else has taken over."""
        until = now + self.LEASE_SECONDS
        held = Shard.objects.filter(pk=self.pk, lease_token=self.lease_token, state=Shard.State.RUNNING)
        if not held.update(lease_until=until):
            return False
        self.lease_until = until
        return True

    def hand_over(self) -> None:
        """Let go, so that the next worker woken for this shard may take it."""
        Shard.objects.filter(pk=self.pk, lease_token=self.lease_token).update(
            state=Shard.State.QUEUED, woken_at=timezone.now()
        )

    def count_break(self) -> int:
        """Note that carrying the shard broke; how often it has. Somebody else's shard is left alone."""
        self.breaks += 1
        Shard.objects.filter(pk=self.pk, lease_token=self.lease_token).update(breaks=self.breaks)
        return self.breaks

    def finish(self) -> bool:
        """It is done; False when somebody else has taken over."""
        mine = Shard.objects.filter(pk=self.pk, lease_token=self.lease_token)
        return bool(mine.update(state=Shard.State.DONE))


class Event(models.Model):
    """A numbered entry in a run's story."""

    run = models.ForeignKey(JobRun, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    data = models.JSONField()

    class Meta:
        ordering = ("run", "seq")
        constraints = (models.UniqueConstraint("run", "seq", name="event_seq_once"),)

    def __str__(self) -> str:
        return f"{self.run_id}#{self.seq}"

    def as_dict(self) -> dict[str, Any]:
        return {"seq": self.seq, "at": self.at.isoformat(), **self.data}
