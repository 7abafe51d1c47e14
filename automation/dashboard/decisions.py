"""What people may do to a run: start, approve, reject, pause, resume, cancel. Each is a form, posted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from automation import decide, pausing
from automation.dashboard.plan import plan_page, readable
from automation.dashboard.rights import why_not
from automation.models import IllegalTransition, JobRun, RunStatus
from automation.models.runs import WAITING

LONGEST_REASON = 2000


@login_required
@require_POST
def run_start(request: HttpRequest, pk: int) -> HttpResponse:
    if reason := why_not(request.user, "runs:submit"):
        return _refused(request, pk, reason, status=403)
    return _done(request, pk, lambda by, _: decide.start(pk, by=by, plan_hash=_plan_hash(request)))


@login_required
@require_POST
def run_approve(request: HttpRequest, pk: int) -> HttpResponse:
    plan_hash = _plan_hash(request)
    return _done(request, pk, lambda by, why: decide.approve(pk, by=by, plan_hash=plan_hash, reason=why))


@login_required
@require_POST
def run_reject(request: HttpRequest, pk: int) -> HttpResponse:
    plan_hash = _plan_hash(request)
    return _done(request, pk, lambda by, why: decide.reject(pk, by=by, plan_hash=plan_hash, reason=why))


@login_required
@require_POST
def run_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    if reason := why_not(request.user, "runs:control"):
        return _refused(request, pk, reason, status=403)
    return _done(request, pk, lambda by, why: decide.cancel(pk, by=by, reason=why))


@login_required
@require_POST
def run_pause(request: HttpRequest, pk: int) -> HttpResponse:
    if reason := why_not(request.user, "runs:control"):
        return _refused(request, pk, reason, status=403)
    return _done(request, pk, lambda by, why: pausing.pause(pk, by=by, reason=why))


@login_required
@require_POST
def run_resume(request: HttpRequest, pk: int) -> HttpResponse:
    if reason := why_not(request.user, "runs:control"):
        return _refused(request, pk, reason, status=403)
    return _done(request, pk, lambda by, why: pausing.resume(pk, by=by, reason=why))


def _done(request: HttpRequest, pk: int, verb: Callable[[Any, str], JobRun]) -> HttpResponse:
    """Do it and show the run; where a rule stands in the way, say which, with the reason still typed."""
    get_object_or_404(readable(request), pk=pk)
    reason = request.POST.get("reason", "").strip()
    if len(reason) > LONGEST_REASON:
        text = f"The reason has {len(reason)} characters; at most {LONGEST_REASON} are kept."
        return _refused(request, pk, text, status=400)
    try:
        run = verb(request.user, reason)
    except decide.DecisionRefused as refused:
        conflict = refused.code in ("plan.hash_mismatch", "run.expired")
        return _refused(request, pk, str(refused), status=409 if conflict else 403)
    except IllegalTransition as late:
        return _refused(request, pk, str(late), status=409)
    messages.success(request, _told(run))
    return redirect("run", pk=pk)


def _refused(request: HttpRequest, pk: int, why: str, *, status: int) -> HttpResponse:
    run = get_object_or_404(readable(request), pk=pk)
    if run.status in WAITING:
        reason = request.POST.get("reason", "")[: LONGEST_REASON * 2]
        return plan_page(request, run, refused=why, reason=reason, status=status)
    return render(request, "automation/run_refused.html", {"run": run, "why": why}, status=status)


def _plan_hash(request: HttpRequest) -> str:
    return request.POST.get("plan_hash", "")


def _told(run: JobRun) -> str:
    match run.status:
        case RunStatus.AWAITING_APPROVAL:
            given = run.participants.filter(decision="approved").count()
            return f"{given} of {run.approvals_required} approvals are given; the run waits for the rest."
        case RunStatus.QUEUED:
            return "The run is queued and starts in a moment."
        case RunStatus.PAUSED if not run.cancel_requested:
            return "The run is paused: no further target begins. What is under way comes to its end."
        case RunStatus.RUNNING if not run.cancel_requested:
            return "The run goes on."
        case RunStatus.REJECTED:
            return "The run is rejected. Nothing was sent to any target."
        case RunStatus.CANCELLED:
            return "The run is cancelled. Nothing was sent to any target."
    return "The run is asked to stop; it ends as soon as its targets confirm."
