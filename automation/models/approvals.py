"""Who asked for a run and who decided on it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class Participant(models.Model):
    """One person's part in one run.

    Requesters and approvers share the table and its unique constraint, so nobody can be both: the database
    itself refuses the second row, for superusers too.
    """

    class Part(models.TextChoices):
        REQUESTER = "requester"
        APPROVER = "approver"

    class Decision(models.TextChoices):
        APPROVED = "approved"
        REJECTED = "rejected"

    run = models.ForeignKey("JobRun", on_delete=models.CASCADE, related_name="participants")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    part = models.CharField(max_length=10, choices=Part)
    decision = models.CharField(max_length=10, choices=Decision, blank=True)
    plan_hash = models.CharField(max_length=64, blank=True)
    reason = models.TextField(blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (models.UniqueConstraint("run", "user", name="participant_once_per_run"),)

    def __str__(self) -> str:
        return f"{self.part} of run {self.run_id}"
