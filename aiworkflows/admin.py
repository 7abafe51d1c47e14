"""What the planner learned here, to look at and to delete."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from aiworkflows.models import LearnedChoice


def _is_admin(user: Any) -> bool:
    return bool(user.is_active and (user.is_superuser or user.groups.filter(name="admin").exists()))


@admin.register(LearnedChoice)
class LearnedChoiceAdmin(ModelAdmin):  # type: ignore[misc]  # the package has no types
    """For the role admin. Rows are made by choices alone; a deleted one is forgotten at once."""

    list_display = ("words", "runbook", "times", "latest")
    list_filter = ("runbook",)
    search_fields = ("words", "runbook")
    fields = readonly_fields = ("words", "runbook", "times", "created", "latest")
    list_per_page = 50

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_admin(request.user)

    def has_view_permission(self, request: HttpRequest, obj: LearnedChoice | None = None) -> bool:
        return _is_admin(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: LearnedChoice | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: LearnedChoice | None = None) -> bool:
        return _is_admin(request.user)
