"""People and their roles. A role is a group that the portal itself keeps."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.forms import AdminPasswordChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from automation.admin_base import PortalModelAdmin, display
from automation.roles import ROLES

ROLE_HELP = (
    "viewer: looks. operator: looks, submits and steers runs. "
    "approver: looks, decides on runs. admin: everything."
)


class RolesField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # not generic when it runs
    widget = UnfoldAdminCheckboxSelectMultipleWidget

    def __init__(self) -> None:
        super().__init__(
            queryset=Group.objects.filter(name__in=ROLES), required=False, label="Roles", help_text=ROLE_HELP
        )


class NewPersonForm(UserCreationForm):  # type: ignore[misc]  # the package has no types
    groups = RolesField()

    class Meta:
        model = User
        fields = ("username",)


class PersonForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    """No password in any form: not its hash, not its parts. It is replaced on a page of its own."""

    groups = RolesField()
    asking: User  # set by the page

    class Meta:
        model = User
        fields = ("username", "first_name", "last_name", "email", "is_active", "groups")

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if self.instance == self.asking and not self.asking.is_superuser:
            if not given.get("is_active"):
                self.add_error("is_active", "You cannot lock yourself out; another administrator can.")
            if not any(role.name == "admin" for role in given.get("groups", ())):
                self.add_error(
                    "groups", "You cannot take the role admin from yourself; another administrator can."
                )
        return given


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class PersonAdmin(PortalModelAdmin, UserAdmin):  # type: ignore[type-arg]
    form = PersonForm
    add_form = NewPersonForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "roles", "email", "is_active", "last_login")
    list_filter = ("is_active", "groups")
    filter_horizontal = ()
    readonly_fields = ("password_door", "last_login", "date_joined")
    fieldsets = (
        (None, {"fields": (("username", "is_active"), "password_door")}),
        ("Person", {"fields": (("first_name", "last_name"), "email")}),
        ("Rights", {"fields": ("groups",)}),
        ("Dates", {"fields": (("last_login", "date_joined"),)}),
    )
    add_fieldsets = ((None, {"fields": ("username", "usable_password", "password1", "password2", "groups")}),)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        rows: QuerySet[User] = super().get_queryset(request)
        return rows.prefetch_related("groups")

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:  # type: ignore[override]
        form: Any = super().get_form(request, obj, **kwargs)
        form.asking = request.user
        return form

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj != request.user and super().has_delete_permission(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Their tokens go with them; who has a part in a run stays, and is switched off instead."""
        to_delete, counts, _, protected = super().get_deleted_objects(objs, request)
        if request.user in objs:
            protected.append("yourself; another administrator can delete you")
        return to_delete, counts, set(), protected

    @display(description="roles")
    def roles(self, user: User) -> str:
        names = [group.name for group in user.groups.all() if group.name in ROLES]
        return ", ".join([*(["superuser"] if user.is_superuser else []), *sorted(names)]) or "none"

    @display(description="password")
    def password_door(self, user: User) -> str:
        state = "Set." if user.has_usable_password() else "Not set: this person cannot sign in."
        door = reverse("admin:auth_user_password_change", args=[user.pk])
        return format_html('{} <a class="underline" href="{}">Set a new one</a>', state, door)
