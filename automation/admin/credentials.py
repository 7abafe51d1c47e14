"""Credentials: secrets go in here, and no page ever shows one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextareaWidget, UnfoldBooleanWidget

from automation.addresses import check_username
from automation.admin.base import NOTHING, SHOWN, PortalModelAdmin, display, links
from credentials.models import Credential
from credentials.rules import CredentialError, CredentialSecrets, check_secrets
from credentials.sealed import DecryptionError
from credentials.secret import Secret

SECRETS = ("password", "private_key", "passphrase", "become_password")
OF_A_KEY = ("private_key", "passphrase")


class WriteOnlyTextarea(UnfoldAdminTextareaWidget):  # type: ignore[misc]  # the package has no types
    """Shows nothing, also of what was just typed and refused."""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, None, attrs)
        return context


def _secret(label: str, *, lines: bool = False) -> forms.CharField:
    hints = {"autocomplete": "new-password", "spellcheck": "false"}
    widget = WriteOnlyTextarea(hints) if lines else UnfoldAdminPasswordWidget(hints, render_value=False)
    # What somebody typed is the secret, spaces included.
    return forms.CharField(label=label, required=False, strip=False, widget=widget, max_length=64 * 1024)


def _removal(label: str) -> forms.BooleanField:
    return forms.BooleanField(label=f"Remove the {label}", required=False, widget=UnfoldBooleanWidget)


class CredentialForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    """Blank keeps what is stored, a tick removes it."""

    password = _secret("Password")
    private_key = _secret("Private key", lines=True)
    passphrase = _secret("Passphrase of the key")
    become_password = _secret("Password for sudo")
    remove_password = _removal("password")
    remove_private_key = _removal("private key")
    remove_passphrase = _removal("passphrase")
    remove_become_password = _removal("password for sudo")

    class Meta:
        model = Credential
        fields = ("name", "kind", "username", "certificate", "enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = _stored(self.instance)
        there = {name for name, _ in stored.items()} if stored else set()
        for name in SECRETS:
            self.fields[name].help_text = _state(stored, is_set=name in there)
            self.fields[f"remove_{name}"].disabled = name not in there

    def clean_username(self) -> str:
        username: str = self.cleaned_data["username"]
        check_username(username)
        return username

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if "kind" in given:
            try:
                check_secrets(given["kind"], self.secrets_after())
            except CredentialError as error:
                self.add_error(error.field, error)
        return given

    def secrets_after(self) -> CredentialSecrets:
        """What will be stored: what was, without what is removed, with what was typed."""
        given = self.cleaned_data
        kept = dict((_stored(self.instance) or CredentialSecrets()).items())
        if given.get("private_key"):
            kept.pop("passphrase", None)  # it belonged to the key before
        if given.get("kind") == Credential.Kind.PASSWORD:
            kept = {name: secret for name, secret in kept.items() if name not in OF_A_KEY}
        kept = {name: secret for name, secret in kept.items() if not given.get(f"remove_{name}")}
        typed = {name: Secret(given[name]) for name in SECRETS if given.get(name)}
        return CredentialSecrets(**(kept | typed))


def _stored(credential: Credential) -> CredentialSecrets | None:
    """The secrets there are; None where they cannot be read with today's keys."""
    try:
        return credential.secrets()
    except DecryptionError:
        return None


def _state(stored: CredentialSecrets | None, *, is_set: bool) -> str:
    if stored is None:
        return "Stored with a key that this installation no longer has: enter every secret anew."
    return "Set. Leave blank to keep it." if is_set else "Not set."


@admin.register(Credential)
class CredentialAdmin(PortalModelAdmin):
    form = CredentialForm
    always_written = ("updated_at",)
    list_display = ("name", "kind", "username", "enabled", "target_count", "key_fingerprint", "last_used_at")
    list_filter = ("kind", "enabled")
    search_fields = ("name", "username")
    readonly_fields = (
        "certificate_state",
        "used_by",
        "last_used_at",
        "version",
        "key_type",
        "key_fingerprint",
        "created_at",
        "updated_at",
    )
    fieldsets = (
        (None, {"fields": (("name", "enabled"), ("kind", "username"))}),
        (
            "Secrets",
            {
                "description": "Write-only: what is stored is never shown again.",
                "fields": tuple((name, f"remove_{name}") for name in SECRETS),
            },
        ),
        (
            "User certificate",
            {
                "description": "Public: signed for the private key above by an authority that targets trust.",
                "fields": ("certificate", "certificate_state"),
            },
        ),
        (
            "Use",
            {
                "fields": (
                    "used_by",
                    ("last_used_at", "version"),
                    ("key_type", "key_fingerprint"),
                    ("created_at", "updated_at"),
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Credential]:
        rows: QuerySet[Credential] = super().get_queryset(request)
        return rows.annotate(size=Count("targets"))

    @display(description="targets", ordering="size")
    def target_count(self, credential: Any) -> int:
        return int(credential.size)

    @display(description="what it says")
    def certificate_state(self, credential: Credential) -> str:
        found = credential.certificate_facts
        if found is None:
            return NOTHING
        end = "for ever" if found.ends_at is None else f"until {found.ends_at:%Y-%m-%d %H:%M UTC}"
        state = "expired" if found.expired() else "not valid yet" if found.not_yet_valid() else "valid"
        names = ", ".join(found.principals) or "any login"
        return f"{state}, {end}, for {names}, signed by {found.authority_fingerprint}"

    @display(description="used by")
    def used_by(self, credential: Credential) -> str:
        if credential.pk is None:
            return "–"
        return links(credential.targets.all()[:SHOWN], credential.targets.count())

    # Error reports leave out what was typed.
    @method_decorator(sensitive_post_parameters())
    def changeform_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().changeform_view(*args, **kwargs)
        return response

    def save_model(self, request: HttpRequest, obj: Credential, form: Any, change: bool) -> None:  # noqa: FBT001
        with transaction.atomic():
            if change:
                Credential.objects.select_for_update().get(pk=obj.pk)
                super().save_model(request, obj, form, change)
            obj.replace_secrets(form.secrets_after())

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What targets log in with cannot be deleted."""
        to_delete, counts, needed, protected = super().get_deleted_objects(objs, request)
        protected += [
            f"{credential.name}: targets log in with it; give them another one first"
            for credential in objs
            if credential.targets.exists()
        ]
        return to_delete, counts, needed, protected
