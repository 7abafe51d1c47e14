"""Workflows and runs, to look at: they are made, decided on and steered on their own pages alone."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline

from automation.admin_base import ReadOnlyModelAdmin, display, preformatted, unbroken
from automation.models import JobRun, Participant, Workflow, WorkflowVersion
from automation.models.access import may


class ReadOnlyInline(TabularInline):  # type: ignore[misc]  # the package has no types
    extra = 0
    can_delete = False
    hide_title = True

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return may(request.user, "admin")

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class VersionInline(ReadOnlyInline):
    model = WorkflowVersion
    fields = readonly_fields = ("number", "author", "created_at")
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkflowVersion]:
        rows: QuerySet[WorkflowVersion] = super().get_queryset(request)
        return rows.select_related("author", "workflow")


@admin.register(Workflow)
class WorkflowAdmin(ReadOnlyModelAdmin):
    list_display = ("name", "newest", "versions_there", "created_at")
    search_fields = ("name",)
    fields = readonly_fields = ("name", "created_at")
    inlines = (VersionInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workflow]:
        rows: QuerySet[Workflow] = super().get_queryset(request)
        return rows.annotate(newest_number=Max("versions__number"), version_count=Count("versions"))

    @display(description="newest version", ordering="newest_number")
    def newest(self, workflow: Workflow) -> str:
        number = getattr(workflow, "newest_number", None)
        return f"v{number}" if number else "–"

    @display(description="versions", ordering="version_count")
    def versions_there(self, workflow: Workflow) -> int:
        return int(getattr(workflow, "version_count", 0))


@admin.register(WorkflowVersion)
class WorkflowVersionAdmin(ReadOnlyModelAdmin):
    list_display = ("workflow", "number", "author", "created_at")
    list_select_related = ("workflow", "author")
    search_fields = ("workflow__name",)
    fields = readonly_fields = ("workflow", "number", "author", "created_at", "shown_text")

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkflowVersion]:
        rows: QuerySet[WorkflowVersion] = super().get_queryset(request)
        return rows.select_related("workflow", "author")

    @display(description="text")
    def shown_text(self, version: WorkflowVersion) -> str:
        return preformatted(version.text)


class ParticipantInline(ReadOnlyInline):
    model = Participant
    fields = readonly_fields = ("user", "part", "decision", "reason", "at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Participant]:
        rows: QuerySet[Participant] = super().get_queryset(request)
        return rows.select_related("user", "run")


RUN_COLOURS = {
    "succeeded": "success",
    "partial": "warning",
    "failed": "danger",
    "errored": "danger",
    "running": "info",
    "queued": "info",
    "awaiting_approval": "warning",
}


@admin.register(JobRun)
class JobRunAdmin(ReadOnlyModelAdmin):
    """Never a way round an approval: there is nothing to press."""

    list_display = ("id", "workflow_name", "shown_status", "tier", "total", "submitted_by", "created_at")
    list_display_links = ("id", "workflow_name")
    list_filter = ("status", "tier", "author_kind")
    list_select_related = ("submitted_by",)
    search_fields = ("workflow_name",)
    inlines = (ParticipantInline,)
    fields = readonly_fields = (
        "workflow_name",
        "shown_status",
        "tier",
        "shown_hash",
        "approvals_required",
        "policy_version",
        "submitted_by",
        "author_kind",
        "reason",
        "dry_run",
        "total",
        "bad",
        "stop_code",
        "created_at",
        "started_at",
        "finished_at",
    )

    @display(description="plan hash")
    def shown_hash(self, run: JobRun) -> str:
        return unbroken(run.plan_hash)

    @display(description="status", ordering="status", label=RUN_COLOURS)
    def shown_status(self, run: JobRun) -> str:
        return run.status
