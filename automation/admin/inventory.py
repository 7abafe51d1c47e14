"""Targets, groups and host keys."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from unfold.widgets import UnfoldAdminTextInputWidget

from automation.admin.winrm_fields import WinRMFields
from automation.admin_base import (
    SHOWN,
    PortalModelAdmin,
    ReadOnlyModelAdmin,
    display,
    links,
    moment,
    unbroken,
)
from automation.belonging import CircleError, GroupNode, GroupTree
from automation.definitions.errors import ParameterError, QueryError
from automation.definitions.parameters import check_variables
from automation.definitions.query import parse
from automation.login_choice import Choices
from automation.models import Group, HostKey, Target

KEY_COLOURS = {"trusted": "success", "pending": "info", "changed": "danger", "revoked": "warning"}


class TagsField(forms.CharField):
    """Names separated by commas."""

    widget = UnfoldAdminTextInputWidget

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        tags = sorted({part.strip() for part in (value or "").split(",")} - {""})
        if too_long := [tag for tag in tags if len(tag) > 100]:
            raise forms.ValidationError(f"{too_long[0][:30]}… has more than 100 characters.")
        return tags

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(sorted(initial or []) != self.to_python(data))


class VariablesForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    """A row with variables, which scripts will see."""

    def clean_variables(self) -> dict[str, Any]:
        given = self.cleaned_data["variables"] or {}
        if not isinstance(given, dict):
            raise forms.ValidationError('Write names and values, like {"port": 8080}.')
        try:
            return dict(check_variables(given))
        except ParameterError as error:
            raise forms.ValidationError(
                [f"{found['path'].removeprefix('variables.')}: {found['message']}" for found in error.errors]
            ) from None


class TargetForm(WinRMFields, VariablesForm):
    tags = TagsField(required=False, help_text="Separated by commas.")


@admin.register(Target)
class TargetAdmin(PortalModelAdmin):
    form = TargetForm
    list_display = (
        "name",
        "address",
        "port",
        "platform",
        "environment",
        "in_groups",
        "credential",
        "enabled",
    )
    list_filter = ("platform", "environment", "enabled", "groups")
    list_select_related = ("credential",)
    search_fields = ("name", "address")
    readonly_fields = ("known_keys", "login")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("name", "enabled"),
                    "platform",
                    ("address", "port"),
                    ("credential", "login"),
                    "bastion",
                )
            },
        ),
        (
            "Windows, by WinRM",
            {
                "fields": (
                    ("winrm_method", "winrm_service_name"),
                    ("winrm_https", "winrm_encrypt"),
                ),
                "description": "Used where the platform is Windows; its port is 5986, by plain HTTP 5985.",
            },
        ),
        ("Maintenance", {"fields": ("maintenance", "maintenance_until", "maintenance_reason")}),
        ("Where it belongs", {"fields": ("groups", "tags", ("environment", "zone"), "variables")}),
        ("Identity", {"fields": ("known_keys",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Target]:
        rows: QuerySet[Target] = super().get_queryset(request)
        return rows.prefetch_related("groups", "host_keys")

    @display(description="groups")
    def in_groups(self, target: Target) -> str:
        return ", ".join(group.name for group in target.groups.all()) or "–"

    @display(description="logs in with")
    def login(self, target: Target) -> str:
        if target.pk is None:
            return "Its own credential; else that of a group; else the default of its environment."
        choice = Choices().of(target)
        return f"{choice.credential or 'nothing'}: {choice.why}"

    @display(description="host keys")
    def known_keys(self, target: Target) -> str:
        if target.pk is None:
            return "A first test of the target shows its key."
        keys = ((key.state, key.key_type, unbroken(key.fingerprint)) for key in target.host_keys.all())
        return format_html_join(mark_safe("<br>"), "{}: {} {}", keys) or "none yet"

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """A target that a run works on cannot be deleted; its host keys go with it."""
        to_delete, counts, _, protected = super().get_deleted_objects(objs, request)
        protected += [
            f"Other targets are reached through {target.name}: give them another bastion first"
            for target in objs
            if target.behind.exists()
        ]
        protected += [
            f"{target.name} is part of a run that is not over, or locked by one"
            for target in objs
            if target.is_in_use()
        ]
        return to_delete, counts, set(), protected


class GroupForm(VariablesForm):
    """A group; refused where it would come to depend on itself."""

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return found
        try:
            node = GroupNode(
                pk=self.instance.pk or 0,
                name=found["name"],
                parents=frozenset(parent.pk for parent in found["parents"]),
                query=parse(found["query"]) if found["query"] else None,
                variables=found["variables"],
            )
            GroupTree.load().with_group(node)
        except QueryError:
            pass  # the model's own rule tells of it, at its field
        except CircleError as error:
            self.add_error("parents", str(error))
        return found


@admin.register(Group)
class GroupAdmin(PortalModelAdmin):
    form = GroupForm
    list_display = ("name", "description", "credential", "size")
    list_select_related = ("credential",)
    search_fields = ("name",)
    readonly_fields = ("members",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        rows: QuerySet[Group] = super().get_queryset(request)
        return rows.annotate(size=Count("targets"))

    @display(description="targets", ordering="size")
    def size(self, group: Any) -> int:
        return int(group.size)

    @display(description="targets")
    def members(self, group: Group) -> str:
        if group.pk is None:
            return "–"
        return links(group.targets.all()[:SHOWN], group.targets.count())


@admin.register(HostKey)
class HostKeyAdmin(ReadOnlyModelAdmin):
    """A person compares the fingerprint with the machine's own, and then vouches for it."""

    list_display = ("target", "shown_state", "key_type", "shown_fingerprint", "seen", "decided_by", "decided")
    list_filter = ("state", "key_type")
    list_select_related = ("target", "decided_by")
    search_fields = ("target__name",)
    actions = ("trust", "revoke")
    fields = ("target", "shown_state", "key_type", "shown_fingerprint", "seen", "decided_by", "decided")
    readonly_fields = fields

    @display(description="state", ordering="state", label=KEY_COLOURS)
    def shown_state(self, key: HostKey) -> str:
        return key.state

    @display(description="fingerprint")
    def shown_fingerprint(self, key: HostKey) -> str:
        return unbroken(key.fingerprint)

    @display(description="seen", ordering="seen_at")
    def seen(self, key: HostKey) -> str:
        return moment(key.seen_at)

    @display(description="decided", ordering="decided_at")
    def decided(self, key: HostKey) -> str:
        return moment(key.decided_at)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @admin.action(description="Trust: I compared the fingerprints", permissions=["decide"])
    def trust(self, request: HttpRequest, keys: QuerySet[HostKey]) -> None:
        try:
            HostKey.objects.trust_all(keys, by=request.user)
        except ValueError as error:
            self.message_user(request, f"Nothing was trusted. {error}", level=messages.ERROR)
            return
        for key in keys:
            self.log_change(request, key, f"Trusted {key.fingerprint} of {key.target.name}.")
        self.message_user(request, f"Trusted: {len(keys)}.")

    @admin.action(description="Revoke", permissions=["decide"])
    def revoke(self, request: HttpRequest, keys: QuerySet[HostKey]) -> None:
        for key in keys:
            key.revoke(by=request.user)
            self.log_change(request, key, f"Revoked {key.fingerprint} of {key.target.name}.")
        self.message_user(request, f"Revoked: {len(keys)}.")
