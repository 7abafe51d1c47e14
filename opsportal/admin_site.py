"""The administration site: who may enter it, and the one place whose scripts may evaluate text."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from unfold.sites import UnfoldAdminSite

from automation.scopes import may
from opsportal.freezing import frozen_now

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'self'",
        # The theme's Alpine evaluates its attributes, and its templates carry styles. Only here.
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)


class PortalAdminSite(UnfoldAdminSite):  # type: ignore[misc]  # the package has no types
    """For the role admin; everybody else is told so, and whoever is not signed in signs in first."""

    def has_permission(self, request: HttpRequest) -> bool:
        return may(request.user, "admin")

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Not a second door: the portal's sign-in page."""
        if request.user.is_authenticated:
            raise PermissionDenied
        wanted = request.GET.get("next") or resolve_url("admin:index")
        return redirect_to_login(wanted, resolve_url(settings.LOGIN_URL))

    def admin_view(
        self,
        view: Callable[..., HttpResponse],
        cacheable: bool = False,  # noqa: FBT001, FBT002  Django's
    ) -> Callable[..., HttpResponse]:
        inner = super().admin_view(view, cacheable)

        def with_policy(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            response: HttpResponse = inner(request, *args, **kwargs)
            response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
            return response

        return update_wrapper(with_policy, inner)


def frozen_badge(request: HttpRequest) -> list[str]:
    """What the theme shows beside the title of each page: a word and its colour, or nothing."""
    return ["Frozen: ./ops manage unfreeze", "danger"] if frozen_now() else []
