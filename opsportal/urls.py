"""Addresses of the portal."""

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from opsportal import health, sign_in

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("admin/", admin.site.urls),
    path("sign-in/", sign_in.SignIn.as_view(), name="sign-in"),
    path("sign-out/", sign_in.SignOut.as_view(), name="sign-out"),
    *(path(prefix, include(module)) for prefix, module in settings.PARTS.urls),  # those of our role
]
handler400 = "opsportal.error_pages.bad_request"
handler403 = "opsportal.error_pages.permission_denied"
handler404 = "opsportal.error_pages.page_not_found"
handler500 = "opsportal.error_pages.server_error"
