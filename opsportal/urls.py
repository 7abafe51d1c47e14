"""Addresses of the portal."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from opsportal import health, sign_in
from opsportal.metrics import MetricsView
from opsportal.openapi.views import SchemaView, docs

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", MetricsView.as_view()),
    path("api/v1/schema/", SchemaView.as_view(), name="api-schema"),
    path("api/v1/docs/", docs, name="api-docs"),
    path("api/v1/", include("automation.api.urls")),
    path("api/v1/", include("aiworkflows.api.urls")),
    path("admin/", admin.site.urls),
    path("sign-in/", sign_in.SignIn.as_view(), name="sign-in"),
    path("sign-out/", sign_in.SignOut.as_view(), name="sign-out"),
    path("", include("automation.dashboard.urls")),
    path("", include("aiworkflows.dashboard.urls")),
]
handler400 = "opsportal.error_pages.bad_request"
handler403 = "opsportal.error_pages.permission_denied"
handler404 = "opsportal.error_pages.page_not_found"
handler500 = "opsportal.error_pages.server_error"
