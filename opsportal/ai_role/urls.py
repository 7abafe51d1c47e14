"""Addresses of the pages that only the AI service has."""

from django.urls import URLPattern, path

from opsportal.ai_role import pages

urlpatterns: list[URLPattern] = [path("", pages.overview, name="overview")]
