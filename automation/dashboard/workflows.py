"""Workflows: the list, and one with its versions, steps, parameters and text."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Page, Paginator
from django.db.models import Max, OuterRef, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from automation.dashboard.rights import require, why_not
from automation.definitions.differing import Change, changes_between
from automation.definitions.errors import DefinitionError
from automation.definitions.schema import BODY_KINDS, Step
from automation.definitions.schema import Workflow as Definition
from automation.definitions.writing import as_yaml as write_yaml
from automation.models import JobRun, Workflow, WorkflowVersion

PAGE_SIZE = 50
RUNS_SHOWN = 10
SHORT = 80


@login_required
@require_GET
def workflows(request: HttpRequest) -> HttpResponse:
    require(request.user, "runs:read")
    newest = WorkflowVersion.objects.filter(workflow=OuterRef("pk")).order_by("-number")
    found = Workflow.objects.visible_to(request.user).annotate(
        newest_number=Subquery(newest.values("number")[:1]),
        newest_definition=Subquery(newest.values("definition")[:1]),
        published_at=Subquery(newest.values("created_at")[:1]),
    )
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": _rows(page, request),
        "why_not_run": why_not(request.user, "runs:submit"),
    }
    return render(request, "automation/workflows.html", context)


def _rows(page: Page[Any], request: HttpRequest) -> list[dict[str, Any]]:
    shown = list(page)
    last = _last_runs([workflow.name for workflow in shown], request)
    return [
        {
            "workflow": workflow,
            "definition": workflow.newest_definition or {},
            "tier": _tier(workflow.newest_definition or {}),
            "last_run": last.get(workflow.name),
        }
        for workflow in shown
    ]


def _tier(definition: dict[str, Any]) -> str:
    effects = {step.get("effect") for step in definition.get("steps", ())}
    return next((each for each in ("destructive", "change", "read") if each in effects), "")


def _last_runs(names: list[str], request: HttpRequest) -> dict[str, JobRun]:
    runs = JobRun.objects.visible_to(request.user)
    newest = (
        runs.filter(workflow_name__in=names).order_by().values("workflow_name").annotate(pk_max=Max("pk"))
    )
    return {run.workflow_name: run for run in runs.filter(pk__in=newest.values("pk_max"))}


@login_required
@require_GET
def workflow(request: HttpRequest, name: str, number: int | None = None) -> HttpResponse:
    """One version of the workflow, the newest unless `number` says which."""
    version = version_of(request, name, number)
    versions = list(version.workflow.versions.select_related("author").defer("definition", "text"))
    definition = read_definition(version)
    context = {
        "version": version,
        "versions": versions,
        "newest": versions[0],
        "definition": definition,
        "steps": [_step(step) for step in definition.steps] if definition else [],
        "yaml": version.as_yaml(),
        "runs": JobRun.objects.visible_to(request.user)
        .filter(workflow_name=version.workflow.name)
        .select_related("submitted_by", "workflow_version")[:RUNS_SHOWN],
        "why_not_run": why_not(request.user, "runs:submit"),
    }
    return render(request, "automation/workflow.html", context)


@login_required
@require_GET
def workflow_yaml(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """The version as a file."""
    text = version_of(request, name, number).as_yaml()
    response = HttpResponse(text, content_type="text/plain; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}-v{number}.yaml"'
    return response


@login_required
@require_GET
def workflow_diff(request: HttpRequest, name: str) -> HttpResponse:
    """What two versions differ in; without `from` and `to` the newest two."""
    later = version_of(request, name, _number(request, "to"))
    earlier = version_of(request, name, _number(request, "from") or max(later.number - 1, 1))
    context = {
        "earlier": earlier,
        "later": later,
        "versions": later.workflow.versions.defer("definition", "text"),
        "changes": [_change(each) for each in changes_between(earlier.definition, later.definition)],
    }
    return render(request, "automation/workflow_diff.html", context)


def _number(request: HttpRequest, key: str) -> int | None:
    text = request.GET.get(key, "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Http404("There is no such version.")
    return int(text) if text else None


def _change(change: Change) -> dict[str, Any]:
    before, after = _told(change.before), _told(change.after)
    short = "\n" not in before + after and len(before + after) <= SHORT
    return {"change": change, "before": before, "after": after, "short": short}


def _told(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return write_yaml(value).rstrip().removesuffix("...").rstrip()


def version_of(request: HttpRequest, name: str, number: int | None) -> WorkflowVersion:
    """The version of a workflow that this person may know of. Raises PermissionDenied, Http404."""
    require(request.user, "runs:read")
    found = get_object_or_404(Workflow.objects.visible_to(request.user), name=name)
    versions = found.versions.select_related("workflow", "author").order_by("-number")
    version = (versions if number is None else versions.filter(number=number)).first()
    if version is None:
        raise Http404(f"Workflow {name} has no such version.")
    return version


def read_definition(version: WorkflowVersion) -> Definition | None:
    """The typed definition; None when today's language no longer reads it."""
    try:
        return Definition.from_canonical(version.definition)
    except DefinitionError:
        return None


def _step(step: Step) -> dict[str, Any]:
    """A step as the page shows it: what it does, and each body with its shell."""
    found = [(kind, step.bodies(kind)) for kind in BODY_KINDS]
    bodies = [
        {"kind": kind, "shell": shell, "script": script}
        for kind, each in found
        if each is not None
        for shell, script in (("bash", each.bash), ("PowerShell", each.powershell))
        if script is not None
    ]
    loop = step.for_each
    return {
        "step": step,
        "bodies": bodies,
        "loop": loop if isinstance(loop, str) else f"of {', '.join(loop)}" if loop else "",
    }
