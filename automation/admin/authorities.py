"""Authorities whose host certificates are accepted."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminTextareaWidget

from automation.admin.inventory import TagsField
from automation.admin_base import PortalModelAdmin, display, unbroken
from automation.host_key_lines import MAX_CERTIFICATE, TLS_AUTHORITY, authority_pem, read_authority
from automation.models import HostCertificateAuthority


class AuthorityForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    """The key is pasted as the one line of its .pub file; for Windows targets, the certificate as PEM."""

    public_key = forms.CharField(
        label="Public key",
        max_length=MAX_CERTIFICATE,
        widget=UnfoldAdminTextareaWidget({"rows": 3, "spellcheck": "false"}),
        help_text="SSH: the line of its .pub file, ssh-ed25519 AAAA… Windows: its certificate in PEM.",
    )
    patterns = TagsField(
        required=False,
        label="Names",
        help_text="Target names or addresses with * and ?, separated by commas.",
    )

    class Meta:
        model = HostCertificateAuthority
        fields = ("name", "patterns", "groups", "enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            tls = self.instance.key_type == TLS_AUTHORITY
            self.initial["public_key"] = authority_pem(self.instance.line) if tls else self.instance.line

    def clean_public_key(self) -> str:
        line: str = self.cleaned_data["public_key"]
        try:
            self.instance.key_type, self.instance.key = read_authority(line)
        except ValueError as error:
            raise forms.ValidationError(f"It {error}.") from None
        return line


@admin.register(HostCertificateAuthority)
class AuthorityAdmin(PortalModelAdmin):
    """It vouches for targets by name, address or group; with none of these for nobody."""

    form = AuthorityForm
    always_written = ("key_type", "key")
    list_display = ("name", "shown_fingerprint", "scope", "enabled")
    list_filter = ("enabled",)
    search_fields = ("name",)
    readonly_fields = ("shown_fingerprint", "added_by", "created_at")
    fieldsets = (
        (None, {"fields": (("name", "enabled"), "public_key", "shown_fingerprint")}),
        ("For which targets", {"fields": ("patterns", "groups")}),
        ("Record", {"fields": (("added_by", "created_at"),)}),
    )

    @display(description="fingerprint")
    def shown_fingerprint(self, authority: HostCertificateAuthority) -> str:
        return unbroken(authority.fingerprint) if authority.key else "–"

    @display(description="vouches for")
    def scope(self, authority: HostCertificateAuthority) -> str:
        groups = [f"group {group.name}" for group in authority.groups.all()]
        return ", ".join([*authority.patterns, *groups]) or "nobody"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        if not change:
            obj.added_by = request.user
        super().save_model(request, obj, form, change)
