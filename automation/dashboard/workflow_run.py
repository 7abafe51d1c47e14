"""Starting a run of a workflow by hand."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from automation.dashboard.rights import require, why_not
from automation.dashboard.run_form import Preview, RunForm, preview_of
from automation.dashboard.workflows import read_definition, version_of
from automation.definitions.schema import Workflow
from automation.models import Target, WorkflowVersion

MAX_NUMBER = 2**31 - 1
OFFERED_TARGETS = 500


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def workflow_run(request: HttpRequest, name: str) -> HttpResponse:
    """The form; sent, it submits the run, or with `preview` shows which targets it would take."""
    version, definition = _asked_for(request, name)
    if request.method != "POST":
        return _shown(request, RunForm(version, definition))
    require(request.user, "runs:submit")
    assert isinstance(request.user, User)  # noqa: S101  (login_required)
    form = RunForm(version, definition, request.POST)
    if "preview" in request.POST:
        return _shown(request, form, preview=form.preview(request.user))
    run = form.submit(request.user)
    if run is None:
        return _shown(request, form, status=422)
    return redirect("run", pk=run.pk)


@login_required
@require_GET
def workflow_targets(request: HttpRequest, name: str) -> HttpResponse:
    """The part of the form that tells which targets the query names now."""
    _, definition = _asked_for(request, name)
    require(request.user, "inventory:read")
    assert isinstance(request.user, User)  # noqa: S101  (login_required)
    preview = preview_of(
        definition,
        request.GET.get("targets", ""),
        request.user,
        include_maintenance=bool(request.GET.get("include_maintenance")),
    )
    return render(request, "automation/workflow_targets.html", {"preview": preview})


def _shown(
    request: HttpRequest, form: RunForm, *, preview: Preview | None = None, status: int = 200
) -> HttpResponse:
    context = {
        "form": form,
        "version": form.version,
        "definition": form.workflow,
        "preview": preview,
        "target_names": _target_names(request, form),
        "why_not_run": why_not(request.user, "runs:submit"),
    }
    return render(request, "automation/workflow_run.html", context, status=status)


def _target_names(request: HttpRequest, form: RunForm) -> list[str]:
    """What the browser offers where a parameter wants a target."""
    if not any(each.parameter.type == "target" for each in form.fields):
        return []
    usable = Target.objects.visible_to(request.user).usable().order_by("name")
    return list(usable.values_list("name", flat=True)[:OFFERED_TARGETS])


def _asked_for(request: HttpRequest, name: str) -> tuple[WorkflowVersion, Workflow]:
    text = (request.POST if request.method == "POST" else request.GET).get("version", "")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
    if text and (number is None or number > MAX_NUMBER):
        raise Http404("There is no such version.")
    version = version_of(request, name, number)
    definition = read_definition(version)
    if definition is None:
        raise Http404("This version is written in a form that is no longer read: publish it again.")
    return version, definition
