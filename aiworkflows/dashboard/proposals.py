"""Ask, look at what was understood, answer, and have the plan made."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from aiworkflows import propose
from aiworkflows.api.permissions import may_propose
from aiworkflows.automation_for import automation_for
from aiworkflows.client_errors import AutomationError
from aiworkflows.dashboard import reading
from aiworkflows.dashboard.forms import BadAnswer, answers_of, fields_of, questions_of
from aiworkflows.models import LONGEST_REQUEST, Proposal, ProposalStateError
from aiworkflows.planners.catalogue import AnswerError

LONGEST_REASON = 2000


@login_required
@require_POST
def ask(request: HttpRequest) -> HttpResponse:
    """Make a proposal of the sentence, as the signed-in person."""
    _check_may_propose(request)
    sentence = request.POST.get("request", "").strip()
    if not sentence:
        return _ask_again(request, sentence, "Say what you want done, and on which targets.")
    if len(sentence) > LONGEST_REQUEST or "\0" in sentence:
        return _ask_again(request, sentence, f"A request has at most {LONGEST_REQUEST} characters of text.")
    try:
        with automation_for(request.user) as client:
            planner = propose.catalogue_planner()
            made = propose.propose(sentence, request.user, client=client, planner=planner)  # type: ignore[arg-type]  # signed in
    except AutomationError as error:
        return _ask_again(request, sentence, f"It could not be planned: {error.detail}")
    return redirect("proposal", made.pk)


@login_required
@require_safe
def proposal(request: HttpRequest, pk: int) -> HttpResponse:
    return _shown(request, _visible(request, pk))


@login_required
@require_POST
def answer(request: HttpRequest, pk: int) -> HttpResponse:
    """Answers, other values or another runbook: it is planned again with them."""
    _check_may_propose(request)
    found = _visible(request, pk)
    try:
        answers = answers_of(found, request.POST)
        with automation_for(request.user) as client:
            planner = propose.catalogue_planner()
            propose.answer(found, answers, client=client, planner=planner, by_a_person=True)
    except (BadAnswer, AnswerError) as error:
        return _shown(request, found, typed=request.POST, problem=str(error), status=400)
    except AutomationError as error:
        return _shown(request, found, typed=request.POST, problem=error.detail, status=503)
    except ProposalStateError as error:
        messages.warning(request, str(error))
    return redirect("proposal", pk)


@login_required
@require_POST
def submit(request: HttpRequest, pk: int) -> HttpResponse:
    """Freeze the plan. The run is held, so that its author looks at the plan before anything else."""
    _check_may_propose(request)
    found = _visible(request, pk)
    reason = request.POST.get("reason", "").strip()[:LONGEST_REASON]
    try:
        with automation_for(request.user) as client:
            run = propose.submit(found, client=client, hold=True, reason=reason, by_a_person=True)
    except AutomationError as error:
        causes = [str(each.get("message", each)) for each in error.errors]
        return _shown(request, found, problem=error.detail, causes=causes, status=400)
    except ProposalStateError as error:
        return _shown(request, found, problem=str(error), status=409)
    # Elsewhere the run has its page elsewhere; ours then shows how it goes.
    return redirect("proposal", pk) if _automation_url() else redirect("run", run.id)


def _automation_url() -> str:
    """Where the automation service is; empty when it is this one."""
    return str(getattr(settings, "AUTOMATION_URL", ""))


def _visible(request: HttpRequest, pk: int) -> Proposal:
    return get_object_or_404(Proposal.objects.visible_to(request.user).select_related("author"), pk=pk)


def _check_may_propose(request: HttpRequest) -> None:
    if not may_propose(request.user):
        raise PermissionDenied


def _ask_again(request: HttpRequest, sentence: str, problem: str) -> HttpResponseRedirect:
    messages.error(request, problem)
    # No address may hold a NUL; what stands in its place shows where it was.
    query = urlencode({"request": sentence[:LONGEST_REQUEST].replace("\0", "\N{REPLACEMENT CHARACTER}")})
    return HttpResponseRedirect(f"{resolve_url('overview')}?{query}")


def _shown(
    request: HttpRequest,
    found: Proposal,
    *,
    typed: QueryDict | None = None,
    problem: str = "",
    causes: list[str] | None = None,
    status: int = 200,
) -> HttpResponse:
    context: dict[str, Any] = {
        "proposal": found,
        "problem": problem,
        "causes": causes or [],
        "title": reading.title_of(found),
        "sureness": reading.sureness(found),
        "percent": round(found.confidence * 100),
        "others": reading.others(found),
        "moment": reading.moment_of(found),
        "questions": questions_of(found, typed),
        "fields": fields_of(found, typed) if found.definition else [],
        "steps": reading.steps_of(found),
        "definition": reading.as_yaml(found.definition) if found.definition else "",
        "may_act": may_propose(request.user),
        "open": found.status in (Proposal.Status.READY, Proposal.Status.NEEDS_ANSWER),
    }
    if found.targets and found.status == Proposal.Status.READY:
        with automation_for(request.user) as client:
            context["reach"] = reading.reach_of(found.targets, client)
    if found.run and (url := _automation_url()):
        with automation_for(request.user) as client:
            context["followed"] = reading.followed(found.run, f"{url}/runs/{found.run}/", client)
    return render(request, "aiworkflows/proposal.html", context, status=status)
