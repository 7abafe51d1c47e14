"""Workflows and their versions, which never change."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from automation.definitions.writing import as_yaml
from automation.models.access import may

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class VersionMoved(Exception):
    """The newest version is not the one that an edit began with; `newest` is its number, 0 for none."""

    def __init__(self, newest: int) -> None:
        super().__init__(newest)
        self.newest = newest


class WorkflowQuerySet(models.QuerySet["Workflow"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> WorkflowQuerySet:
        return self if may(user, "runs:read") else self.none()

    def publish(
        self, definition: dict[str, Any], *, text: str, author: Any, over: Container[int] | None = None
    ) -> WorkflowVersion:
        """The newest version of the workflow this canonical definition names.

        The same definition as the newest version makes no new one. With `over`, the newest version must have
        one of these numbers; raises VersionMoved otherwise, and then nothing is stored.
        """
        with transaction.atomic():
            workflow, _ = self.select_for_update().get_or_create(name=definition["name"])
            newest = workflow.versions.order_by("-number").first()
            if newest is not None and newest.definition == definition:
                return newest
            number = newest.number if newest else 0
            if over is not None and number not in over:
                raise VersionMoved(number)
            return workflow.versions.create(
                number=number + 1, definition=definition, text=text, author=author
            )


class Workflow(models.Model):
    """An ordered list of steps under a name; what it says stands in its versions."""

    name = models.SlugField(max_length=100, unique=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = WorkflowQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class WorkflowVersionQuerySet(models.QuerySet["WorkflowVersion"]):
    def newest(self) -> WorkflowVersionQuerySet:
        """The newest version of each workflow, in order of name."""
        later = self.model.objects.filter(workflow=OuterRef("workflow"), number__gt=OuterRef("number"))
        return self.filter(~Exists(later)).select_related("workflow", "author").order_by("workflow__name")


class WorkflowVersion(models.Model):
    """One immutable edition of a workflow."""

    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    definition = models.JSONField()
    text = models.TextField(help_text="As its author wrote it.")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(default=timezone.now)

    objects = WorkflowVersionQuerySet.as_manager()

    class Meta:
        ordering = ("workflow", "-number")
        constraints = (models.UniqueConstraint("workflow", "number", name="version_number_once"),)

    def __str__(self) -> str:
        return f"{self.workflow.name} v{self.number}"

    def as_yaml(self) -> str:
        """The text as its author wrote it; what came as JSON is written as YAML."""
        return as_yaml(self.definition) if self.text.lstrip().startswith("{") else self.text
