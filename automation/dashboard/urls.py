"""Addresses of the pages."""

from django.urls import URLPattern, path

from automation.dashboard import decisions, overview, plan, run

urlpatterns: list[URLPattern] = [
    path("", overview.overview, name="overview"),
    path("runs/<int:pk>/", run.run, name="run"),
    path("runs/<int:pk>/state/", run.run_state, name="run-state"),
    path("runs/<int:pk>/times/", run.run_times, name="run-times"),
    path("runs/<int:pk>/plan/", plan.run_plan, name="run-plan"),
    path("runs/<int:pk>/start/", decisions.run_start, name="run-start"),
    path("runs/<int:pk>/approve/", decisions.run_approve, name="run-approve"),
    path("runs/<int:pk>/reject/", decisions.run_reject, name="run-reject"),
    path("runs/<int:pk>/cancel/", decisions.run_cancel, name="run-cancel"),
]
