"""Tokens: made here with their text shown once, revoked here, never changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from automation.admin_base import ReadOnlyModelAdmin, display
from automation.models import ApiToken
from automation.models.access import TOKEN_DAYS, may, scopes_of
from automation.roles import SCOPES

SHOWN = ("name", "user", "kind", "shown_scopes", "shown_state", "created_at", "expires_at", "last_used_at")


class TokenForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    """What the token is for, whose it is, and what it may do."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in sorted(SCOPES)],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Never more than the owner's roles allow.",
    )
    days = forms.IntegerField(
        min_value=1,
        max_value=365,
        initial=TOKEN_DAYS,
        widget=UnfoldAdminIntegerFieldWidget,
        label="Valid for days",
    )
    maker: User  # set by the page: who is asking

    class Meta:
        model = ApiToken
        fields = ("name", "user", "kind", "scopes")
        widgets = {  # noqa: RUF012  (Django declares it so)
            "name": UnfoldAdminTextInputWidget,
            "user": UnfoldAdminSelectWidget,
            "kind": UnfoldAdminSelectWidget,
        }
        help_texts = {  # noqa: RUF012
            "kind": "A token of kind service or ai can never approve. One of kind person is its maker's own."
        }

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        user, kind, scopes = given.get("user"), given.get("kind"), set(given.get("scopes", []))
        if user is None or kind is None:
            return given
        if kind == ApiToken.Kind.PERSON and user != self.maker:
            # It could decide on runs in the name of somebody who never saw it.
            self.add_error("user", "A token of kind person is made by that person alone, for oneself.")
        if kind != ApiToken.Kind.PERSON and {"runs:approve", "admin"} & scopes:
            self.add_error(
                "scopes", f"A token of kind {kind} can never approve: leave out runs:approve and admin."
            )
        if beyond := sorted(scopes - scopes_of(user)):
            self.add_error("scopes", f"No role of {user} gives {', '.join(beyond)}.")
        return given


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyModelAdmin):
    list_display = ("name", "user", "kind", "shown_state", "expires_at", "last_used_at")
    list_filter = ("kind",)
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may(request.user, "admin")

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return SHOWN if obj else ("name", "user", "kind", "scopes", "days")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return SHOWN if obj else ()

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        if obj is None:
            return type("NewTokenForm", (TokenForm,), {"maker": request.user})
        return super().get_form(request, obj, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        given = form.cleaned_data
        token, text = ApiToken.objects.issue(
            name=given["name"],
            user=given["user"],
            kind=given["kind"],
            scopes=given["scopes"],
            expires_at=timezone.now() + timedelta(days=given["days"]),
        )
        # The page goes on with the row it was given; the text lives for this one answer.
        obj.__dict__.update(token.__dict__)
        obj.shown_once = text

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], **kwargs: Any
    ) -> HttpResponse:
        # The text is shown once, on the page that follows: there is no other way to go on.
        context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        response: HttpResponse = super().render_change_form(request, context, **kwargs)
        return response

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The text in this one answer: a message would keep it in a cookie or the session."""
        context = self.admin_site.each_context(request) | {
            "title": "New token",
            "token": obj,
            "text": obj.shown_once,
            "opts": self.opts,
        }
        return TemplateResponse(
            request, "admin/automation/apitoken/made.html", context, headers={"Cache-Control": "no-store"}
        )

    @display(description="state", label={"valid": "success", "expired": "warning", "revoked": "danger"})
    def shown_state(self, token: ApiToken) -> str:
        if token.revoked_at is not None:
            return "revoked"
        return "valid" if token.expires_at > timezone.now() else "expired"

    @display(description="scopes")
    def shown_scopes(self, token: ApiToken) -> str:
        return ", ".join(token.scopes)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[ApiToken]) -> None:
        for token in tokens.filter(revoked_at=None):
            token.revoke()
            self.log_change(request, token, "Revoked.")
        self.message_user(request, "Revoked: they open no door any more.")
