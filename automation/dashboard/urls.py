"""Addresses of the pages."""

from django.urls import URLPattern, path

from automation.dashboard import (
    decisions,
    overview,
    plan,
    run,
    runs,
    target,
    targets,
    workflow_run,
    workflows,
)

urlpatterns: list[URLPattern] = [
    path("", overview.overview, name="overview"),
    path("now/", overview.overview_now, name="overview-now"),
    path("runs/", runs.runs, name="runs"),
    path("runs/<int:pk>/", run.run, name="run"),
    path("runs/<int:pk>/state/", run.run_state, name="run-state"),
    path("runs/<int:pk>/times/", run.run_times, name="run-times"),
    path("runs/<int:pk>/plan/", plan.run_plan, name="run-plan"),
    path("runs/<int:pk>/start/", decisions.run_start, name="run-start"),
    path("runs/<int:pk>/approve/", decisions.run_approve, name="run-approve"),
    path("runs/<int:pk>/reject/", decisions.run_reject, name="run-reject"),
    path("runs/<int:pk>/pause/", decisions.run_pause, name="run-pause"),
    path("runs/<int:pk>/resume/", decisions.run_resume, name="run-resume"),
    path("runs/<int:pk>/cancel/", decisions.run_cancel, name="run-cancel"),
    path("targets/", targets.targets, name="targets"),
    path("targets/<int:pk>/", target.target, name="target"),
    path("targets/<int:pk>/tested/", target.target_tested, name="target-tested"),
    path("targets/<int:pk>/test/", target.target_test, name="target-test"),
    path("host-keys/<int:pk>/trust/", target.host_key_trust, name="host-key-trust"),
    path("host-keys/<int:pk>/revoke/", target.host_key_revoke, name="host-key-revoke"),
    path("workflows/", workflows.workflows, name="workflows"),
    path("workflows/<slug:name>/", workflows.workflow, name="workflow"),
    path("workflows/<slug:name>/diff/", workflows.workflow_diff, name="workflow-diff"),
    path("workflows/<slug:name>/run/", workflow_run.workflow_run, name="workflow-run"),
    path("workflows/<slug:name>/targets/", workflow_run.workflow_targets, name="workflow-targets"),
    path("workflows/<slug:name>/versions/<int:number>/", workflows.workflow, name="workflow-version"),
    path("workflows/<slug:name>/versions/<int:number>.yaml", workflows.workflow_yaml, name="workflow-yaml"),
]
