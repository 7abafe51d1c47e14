"""Where the API is described."""

from django.urls import path

from opsportal.openapi.views import SchemaView, docs

urlpatterns = [
    path("schema/", SchemaView.as_view(), name="api-schema"),
    path("docs/", docs, name="api-docs"),
]
