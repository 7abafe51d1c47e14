"""The door for people: sign-in with a brake on guessing, sign-out, and fragments of pages for strangers."""

import hashlib
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from django import forms
from django.contrib import messages
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url

WRONG_TRIES: Final = 5
WAIT_SECONDS: Final = 300


class SignInForm(AuthenticationForm):
    """Asks for name and password; after five wrong tries for one name from one address it wants a pause.

    The address is part of the key, so that a stranger cannot keep somebody out. Kept in the process's cache:
    enough against guessing at a form, and nothing to store.
    """

    error_messages = {  # noqa: RUF012  # declared so by Django's form
        "invalid_login": "Name and password do not match. Both are case-sensitive.",
        "inactive": "This account is switched off. Ask your administrator.",
    }

    def __init__(self, request: HttpRequest | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self.fields["username"].label = "User name"
        for name, field in self.fields.items():
            field.widget.attrs["class"] = "form-control"
            field.error_messages["required"] = f"Enter your {'user name' if name == 'username' else name}."
        self.fields["password"].widget = forms.PasswordInput(
            attrs={"class": "form-control", "autocomplete": "current-password"}
        )

    def clean(self) -> dict[str, Any]:
        if not self.cleaned_data.get("username") or not self.cleaned_data.get("password"):
            return self.cleaned_data
        key = self._key(self.cleaned_data["username"])
        if cache.get(key, 0) >= WRONG_TRIES:
            raise ValidationError(
                f"Too many wrong tries. Wait {WAIT_SECONDS // 60} minutes and try again.", code="too_many"
            )
        try:
            checked: dict[str, Any] = super().clean()
        except ValidationError:
            cache.add(key, 0, WAIT_SECONDS)
            cache.incr(key)
            raise
        cache.delete(key)
        return checked

    def _key(self, name: str) -> str:
        address = self.request.META.get("REMOTE_ADDR", "") if self.request else ""
        tried = f"{address} {name.casefold()}".encode()
        return f"sign-in-{hashlib.sha256(tried).hexdigest()}"


class SignIn(LoginView):
    """`next` is followed only within the portal."""

    template_name = "registration/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


class SignOut(LogoutView):
    """By POST alone, so that no link signs anybody out."""

    next_page = "sign-in"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().post(request, *args, **kwargs)
        messages.success(request, "You are signed out. Runs that you started go on.")
        return response


class FragmentsForStrangers:
    """A fragment asked for after the session ended makes the whole page reload, and so come to the sign-in.

    Otherwise the sign-in page would appear in the middle of another.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.headers.get("HX-Request") != "true" or response.status_code != 302:
            return response
        if urlsplit(response.headers["Location"]).path != resolve_url("sign-in"):
            return response
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
