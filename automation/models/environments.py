"""What holds for all targets of an environment."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower

from automation.models.inventory import VisibleQuerySet


class EnvironmentDefault(models.Model):
    """The credential for targets of an environment that neither have one nor are in a group that has one."""

    environment = models.CharField(max_length=50)
    credential = models.ForeignKey(
        "credentials.Credential", on_delete=models.PROTECT, related_name="environments"
    )

    objects = VisibleQuerySet.as_manager()

    class Meta:
        ordering = ("environment",)
        constraints = (
            models.UniqueConstraint(
                Lower("environment"),
                name="environment_default_once",
                violation_error_message="This environment has a default already.",
            ),
        )

    def __str__(self) -> str:
        return self.environment
