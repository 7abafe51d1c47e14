"""Addresses of the pages."""

from django.urls import URLPattern, path

from automation.dashboard import overview, runs

urlpatterns: list[URLPattern] = [
    path("", overview.overview, name="overview"),
    path("now/", overview.overview_now, name="overview-now"),
    path("runs/", runs.runs, name="runs"),
]
