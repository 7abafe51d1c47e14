"""Addresses of the pages."""

from django.urls import URLPattern, path

from automation.dashboard import overview

urlpatterns: list[URLPattern] = [
    path("", overview.overview, name="overview"),
]
