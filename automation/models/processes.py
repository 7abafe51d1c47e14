"""Worker processes as they report themselves, and this installation's name for itself."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone


class WorkerProcess(models.Model):
    """One supervised worker command: its heartbeat, and the probe that went through its queue."""

    worker_id = models.CharField(max_length=64, unique=True)
    cluster = models.CharField(max_length=20)
    clock = models.CharField(max_length=64)
    seen = models.FloatField(help_text="Seconds on that clock.")
    seen_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.cluster} {self.worker_id}"


class QueueProbe(models.Model):
    """A task sent through each queue again and again: an answer proves that the queue moves."""

    cluster = models.CharField(max_length=20, unique=True)
    sent = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, help_text="Since when an answer is waited for.")
    repeated_at = models.DateTimeField(null=True)
    answered = models.PositiveIntegerField(default=0)
    answered_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.cluster}: {self.answered}/{self.sent}"


class Installation(models.Model):
    """The one row that names this installation; its name stands in the path of our spools on targets."""

    uuid = models.UUIDField(default=uuid.uuid4)
    frozen_at = models.DateTimeField(null=True)
    frozen_reason = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.uuid.hex

    @classmethod
    def identity(cls) -> str:
        row, _ = cls.objects.get_or_create(pk=1)
        return row.uuid.hex[:16]

    @classmethod
    def frozen(cls) -> str:
        """Why nothing may be run, asked or submitted now; empty when all goes its way."""
        return cls.objects.filter(pk=1).values_list("frozen_reason", flat=True).first() or ""

    @classmethod
    def freeze(cls, reason: str) -> None:
        """From now on nothing is run, asked or submitted. What is under way already is left alone."""
        cls.objects.update_or_create(pk=1, defaults={"frozen_at": timezone.now(), "frozen_reason": reason})

    @classmethod
    def unfreeze(cls) -> None:
        cls.objects.filter(pk=1).update(frozen_at=None, frozen_reason="")
