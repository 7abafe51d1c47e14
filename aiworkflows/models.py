"""What was made of a sentence, until it is a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import models
from django.utils import timezone

from aiworkflows.planners.contract import Answers, Learned, Plan

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

LONGEST_REQUEST: Final = 1000
MOST_LEARNED: Final = 2000
# Everybody with a role sees all proposals; the others see what they typed themselves.
ROLES: Final = ("viewer", "operator", "approver", "admin")


class ProposalStateError(Exception):
    """What was asked of a proposal does not fit the state it is in."""

    def __init__(self, proposal: Proposal, wanted: str) -> None:
        super().__init__(f"Proposal {proposal.pk} is {proposal.status}, so it cannot be {wanted}.")


class ProposalQuerySet(models.QuerySet["Proposal"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> ProposalQuerySet:
        """Those that the user typed, or all for a user with a role."""
        if user.is_anonymous or not user.is_active:
            return self.none()
        if getattr(user, "is_superuser", False) or user.groups.filter(name__in=ROLES).exists():  # type: ignore[attr-defined]
            return self
        return self.filter(author_id=user.pk)


class Proposal(models.Model):
    """A sentence, and the workflow that a planner proposes for it. Nothing runs before it is submitted."""

    class Status(models.TextChoices):
        PLANNING = "planning"
        READY = "ready"
        NEEDS_ANSWER = "needs_answer"
        REFUSED = "refused"
        SUBMITTED = "submitted"

    request = models.CharField(max_length=LONGEST_REQUEST)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="proposals")
    status = models.CharField(max_length=20, choices=Status, default=Status.PLANNING)
    runbook = models.CharField(max_length=100, blank=True)
    definition = models.JSONField(null=True, blank=True)
    targets = models.TextField(blank=True)
    parameters = models.JSONField(default=dict, blank=True)
    confidence = models.FloatField(default=0.0)
    alternatives = models.JSONField(default=list, blank=True)
    questions = models.JSONField(default=list, blank=True)
    reason = models.TextField(blank=True)
    answers = models.JSONField(default=dict, blank=True)
    # The time that the sentence speaks of, and the words of it that may be learned.
    time = models.JSONField(null=True, blank=True)
    words = models.CharField(max_length=LONGEST_REQUEST, blank=True)
    # A plain number: the run lives on the other side of the automation API.
    run = models.BigIntegerField(null=True, blank=True)
    planner = models.CharField(max_length=50, blank=True)
    model = models.CharField(max_length=200, null=True, blank=True)
    created = models.DateTimeField(default=timezone.now)

    objects = ProposalQuerySet.as_manager()

    class Meta:
        ordering = ("-created", "-pk")

    def __str__(self) -> str:
        return f"{self.pk}: {self.request[:60]}"

    @property
    def source(self) -> dict[str, Any]:
        """Where the run comes from, as the automation API wants to know it."""
        source = {
            "kind": "ai" if self.model else "catalogue",
            "prompt": self.request,
            "proposal": self.pk,
            "requested_by": self.author.get_username(),
        }
        return source | ({"model": self.model} if self.model else {})

    @property
    def idempotency_key(self) -> str:
        """Always the same, so that a proposal becomes one run however often it is submitted.

        The moment tells it from that of another AI service, or of an earlier database, with the same token.
        """
        return f"proposal-{self.pk}-{self.created.timestamp():.0f}"

    def given_answers(self) -> Answers:
        """What was answered so far."""
        return Answers(
            runbook=self.answers.get("runbook"),
            targets=self.answers.get("targets"),
            parameters=self.answers.get("parameters", {}),
        )

    def take_answers(
        self,
        *,
        runbook: str | None = None,
        targets: str | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> None:
        """Keep what was answered, to be planned with; another runbook forgets the parameters of the last."""
        if self.status == self.Status.SUBMITTED:
            raise ProposalStateError(self, "answered")
        answers = dict(self.answers)
        if runbook is not None:
            if runbook != self.runbook:
                answers["parameters"] = {}
            answers["runbook"] = runbook
        if targets is not None:
            answers["targets"] = targets
        answers["parameters"] = {**answers.get("parameters", {}), **(parameters or {})}
        self.answers = answers

    def planned(self, plan: Plan, *, planner: str, model: str | None) -> None:
        """Store what the planner made of it."""
        if self.status == self.Status.SUBMITTED:
            raise ProposalStateError(self, "planned again")
        self.status = plan.status
        self.runbook = plan.runbook or ""
        self.definition = plan.definition
        self.targets = plan.targets
        self.parameters = dict(plan.parameters)
        self.confidence = plan.confidence
        self.alternatives = [each.as_dict() for each in plan.alternatives]
        self.questions = [each.as_dict() for each in plan.questions]
        self.reason = plan.reason
        self.time = plan.time
        self.words = plan.words[:LONGEST_REQUEST]
        self.planner = planner
        self.model = model
        self.save(
            update_fields=[
                "status",
                "runbook",
                "definition",
                "targets",
                "parameters",
                "confidence",
                "alternatives",
                "questions",
                "reason",
                "time",
                "words",
                "answers",
                "planner",
                "model",
            ]
        )

    def failed(self, reason: str) -> None:
        """It could not be planned at all."""
        self.status = self.Status.REFUSED
        self.reason = reason
        self.save(update_fields=["status", "reason"])

    def submitted(self, run: int) -> None:
        """It became this run."""
        if self.status != self.Status.READY:
            raise ProposalStateError(self, "submitted")
        self.status = self.Status.SUBMITTED
        self.run = run
        self.save(update_fields=["status", "run"])


class LearnedChoiceQuerySet(models.QuerySet["LearnedChoice"]):
    def learn(self, words: str, runbook: str) -> None:
        """Count one more choice of this runbook for these words."""
        if not words or not runbook:
            return
        row, made = self.get_or_create(words=words, runbook=runbook)
        if not made:
            self.filter(pk=row.pk).update(times=models.F("times") + 1, latest=timezone.now())

    def newest(self) -> list[Learned]:
        """Give what the planner shall know, the newest of it."""
        rows = self.order_by("-latest", "-pk")[:MOST_LEARNED]
        return [Learned(row.words, row.runbook, row.times) for row in rows]


class LearnedChoice(models.Model):
    """A runbook that people of this site chose for a request of these words.

    The words hold neither targets nor names of software, so neither is ever learned. A row can be deleted.
    """

    words = models.CharField(max_length=LONGEST_REQUEST)
    runbook = models.CharField(max_length=100)
    times = models.PositiveIntegerField(default=1)
    created = models.DateTimeField(default=timezone.now)
    latest = models.DateTimeField(default=timezone.now)

    objects = LearnedChoiceQuerySet.as_manager()

    class Meta:
        ordering = ("-latest", "-pk")
        constraints = (models.UniqueConstraint(fields=("words", "runbook"), name="learned_once"),)

    def __str__(self) -> str:
        return f"{self.words[:60]}: {self.runbook}"
