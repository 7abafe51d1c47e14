"""Credentials: secrets go in here, and no page ever shows one."""

from __future__ import annotations

import base64
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.views.decorators.debug import sensitive_post_parameters
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanWidget,
)

from automation.addresses import check_username
from automation.admin_base import NOTHING, SHOWN, PortalModelAdmin, display, links, moment
from automation.login_choice import is_used
from automation.models import EnvironmentDefault
from credentials.keytabs import LARGEST as LARGEST_KEYTAB
from credentials.models import Credential
from credentials.rules import CredentialError, CredentialSecrets, check_secrets
from credentials.sealed import DecryptionError
from credentials.secret import Secret
from credentials.trial import try_credential

SECRETS = ("password", "private_key", "passphrase", "become_password", "vault_secret", "keytab")
USERS = ("target", "group", "environment")
BELONG = {
    Credential.Kind.PASSWORD: ("password", "become_password"),
    Credential.Kind.PRIVATE_KEY: ("password", "private_key", "passphrase", "become_password"),
    Credential.Kind.KEYTAB: ("keytab",),
    Credential.Kind.CLIENT_CERTIFICATE: ("private_key", "passphrase"),
    Credential.Kind.VAULT: ("vault_secret",),
}
"""Which stored secrets go with a kind; what does not is dropped with the kind before."""
VAULT_HELP = (
    "For kind vault: where the secrets are, in a key-value engine. Like "
    '{"address": "https://vault.example.org:8200", "path": "linux/web", "keys": {"password": "pw"}}; '
    'also mount, engine ("2", or "1" for the older kind), namespace, auth (token or approle), role_id, '
    "auth_mount and ca (PEM). Keys may be "
    "password, private_key, passphrase and become_password; keytab (base64) alone; or client_certificate "
    "(PEM) with private_key and passphrase."
)
EXPIRY_COLOURS = {"later": "success", "soon": "warning", "expired": "danger", "never": "info"}


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
    vault_secret = _secret("Token or secret id for Vault")
    keytab = forms.FileField(
        label="Keytab",
        required=False,
        widget=UnfoldAdminFileFieldWidget(),
        help_text="",
    )
    remove_password = _removal("password")
    remove_private_key = _removal("private key")
    remove_passphrase = _removal("passphrase")
    remove_become_password = _removal("password for sudo")
    remove_vault_secret = _removal("token or secret id")
    remove_keytab = _removal("keytab")

    class Meta:
        model = Credential
        fields = ("name", "kind", "username", "certificate", "enabled", "expires_at", "vault")

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
                check_secrets(
                    given["kind"],
                    self.secrets_after(),
                    username=given.get("username", ""),
                    certificate=given.get("certificate", ""),
                )
                self._check_entry(given)
            except CredentialError as error:
                self.add_error(error.field.partition(".")[0], error)
        return given

    def clean_vault(self) -> dict[str, Any]:
        return self.cleaned_data["vault"] or {}

    def clean_keytab(self) -> str:
        """The file in base64; empty where none was sent."""
        file = self.cleaned_data["keytab"]
        if not file:
            return ""
        if file.size > LARGEST_KEYTAB:
            raise forms.ValidationError("The file is too large for a keytab.")
        return base64.b64encode(file.read()).decode()

    def _check_entry(self, given: dict[str, Any]) -> None:
        typed = given.get("vault_secret")
        before = Credential.objects.filter(pk=self.instance.pk).first()
        after = Credential(
            kind=given["kind"], vault=given.get("vault", {}), certificate=given.get("certificate", "")
        )
        after.check_entry(before=before, proof=Secret(typed) if typed else None)
        after.check_certificate(before=before)

    def secrets_after(self) -> CredentialSecrets:
        """What will be stored: what was, without what is removed, with what was typed."""
        given = self.cleaned_data
        kept = dict((_stored(self.instance) or CredentialSecrets()).items())
        if given.get("private_key"):
            kept.pop("passphrase", None)  # it belonged to the key before
        kept = {name: secret for name, secret in kept.items() if name in BELONG[given["kind"]]}
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
    list_display = ("name", "kind", "username", "enabled", "expires", "uses", "last_used")
    list_filter = ("kind", "enabled", "expires_at")
    search_fields = ("name", "username")
    actions = ("try_them",)
    readonly_fields = (
        "certificate_state",
        "used_by",
        "last_used",
        "version",
        "key_type",
        "key_fingerprint",
        "created_at",
        "updated_at",
    )
    fieldsets = (
        (None, {"fields": (("name", "enabled"), ("kind", "username"), "expires_at")}),
        (
            "Secrets",
            {
                "description": "Write-only: what is stored is never shown again.",
                "fields": tuple((name, f"remove_{name}") for name in SECRETS),
            },
        ),
        (
            "Certificate",
            {
                "description": "Public: signed for the private key above by an authority that targets trust. "
                "For kind private key one of OpenSSH, for kind client certificate PEM.",
                "fields": ("certificate", "certificate_state"),
            },
        ),
        (
            "Vault or OpenBao",
            {
                "description": VAULT_HELP,
                "fields": ("vault",),
            },
        ),
        (
            "Use",
            {
                "fields": (
                    "used_by",
                    ("last_used", "version"),
                    ("key_type", "key_fingerprint"),
                    ("created_at", "updated_at"),
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Credential]:
        rows: QuerySet[Credential] = super().get_queryset(request)
        counts = {f"of_{kind}s": Count(f"{kind}s", distinct=True) for kind in USERS}
        return rows.annotate(**counts)

    @display(description="used by", ordering="of_targets")
    def uses(self, credential: Any) -> str:
        counts = ((getattr(credential, f"of_{kind}s"), kind) for kind in USERS)
        return ", ".join(f"{n} {kind}{'' if n == 1 else 's'}" for n, kind in counts if n) or NOTHING

    @display(description="expires", ordering="expires_at", label=EXPIRY_COLOURS)
    def expires(self, credential: Credential) -> tuple[str, str]:
        if credential.expires_at is None:
            return "never", "never"
        day = credential.expires_at.strftime("%Y-%m-%d")
        return credential.expiry, f"expired {day}" if credential.expired else day

    @display(description="last used", ordering="last_used_at")
    def last_used(self, credential: Credential) -> str:
        run = f" by run {credential.last_used_run}" if credential.last_used_run else ""
        return format_html("{}{}", moment(credential.last_used_at), run)

    @display(description="what it says")
    def certificate_state(self, credential: Credential) -> str:
        shown = credential.client_certificate_facts
        if shown is not None:
            state = "expired" if shown.expired else "valid"
            names = f", for {', '.join(shown.names)}" if shown.names else ""
            until = f"{shown.ends_at:%Y-%m-%d %H:%M UTC}"
            return f"{state}, until {until}, {shown.subject}{names}, issued by {shown.issuer}"
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
            return NOTHING
        found = (
            ("targets", credential.targets.all()),
            ("groups", credential.groups.all()),
            ("environments", credential.environments.all()),
        )
        parts = [(kind, links(rows[:SHOWN], rows.count())) for kind, rows in found if rows.exists()]
        return format_html_join(mark_safe("<br>"), "{}: {}", parts) or NOTHING

    @admin.action(description="Try: can the secrets be had?", permissions=["change"])
    def try_them(self, request: HttpRequest, rows: QuerySet[Credential]) -> None:
        for credential in rows:
            trial = try_credential(credential)
            level = messages.SUCCESS if trial.success else messages.ERROR
            told = f"{credential.name}: {trial.message} {trial.next_step}"
            self.message_user(request, told if trial.success else f"{told} ({trial.code})", level)

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
            if is_used(credential)
        ]
        return to_delete, counts, needed, protected


@admin.register(EnvironmentDefault)
class EnvironmentDefaultAdmin(PortalModelAdmin):
    """For targets that have no credential of their own and are in no group that has one."""

    list_display = ("environment", "credential")
    list_select_related = ("credential",)
