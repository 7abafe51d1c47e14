"""What we learned of targets' spools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.utils import timezone

from automation.models.inventory import Target

if TYPE_CHECKING:
    from automation.libraries.envelope import Probe


class SpoolQuerySet(models.QuerySet["Spool"]):
    def found(self, target_id: int, probe: Probe, *, become: bool) -> Spool:
        """Record what was found on the target just now."""
        spool, _ = self.update_or_create(
            target_id=target_id,
            become=become,
            defaults={
                "spool_id": probe.spool_id or "",
                "path": probe.spool or "",
                "boot": probe.boot,
                "detach": probe.detach,
                "guard": probe.guard,
                "survives_logout": probe.survives_logout,
                "seen_at": timezone.now(),
            },
        )
        return spool


class Spool(models.Model):
    """Where a target keeps our attempts, for the login or for root; its id proves that it is the same one."""

    target = models.ForeignKey(Target, on_delete=models.CASCADE, related_name="spools")
    become = models.BooleanField()
    spool_id = models.CharField(max_length=64, blank=True)
    path = models.CharField(max_length=500, blank=True)
    boot = models.CharField(max_length=100, blank=True)
    detach = models.CharField(max_length=10, blank=True)
    guard = models.CharField(max_length=10, default="sh")
    survives_logout = models.BooleanField(null=True)
    seen_at = models.DateTimeField(default=timezone.now)

    objects = SpoolQuerySet.as_manager()

    class Meta:
        constraints = (models.UniqueConstraint("target", "become", name="spool_once_per_side"),)

    def __str__(self) -> str:
        return f"{self.target_id}:{self.path}"
