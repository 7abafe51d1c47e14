"""Addresses of the pages of proposals."""

from django.urls import URLPattern, path

from aiworkflows.dashboard import proposals

urlpatterns: list[URLPattern] = [
    path("ask/", proposals.ask, name="ask"),
    path("proposals/<int:pk>/", proposals.proposal, name="proposal"),
    path("proposals/<int:pk>/answer/", proposals.answer, name="proposal-answer"),
    path("proposals/<int:pk>/submit/", proposals.submit, name="proposal-submit"),
]
