"""The portal's API with both sides real."""

from django.urls import include, path

urlpatterns = [
    path("api/v1/", include("automation.api.urls")),
    path("api/v1/", include("aiworkflows.api.urls")),
]
