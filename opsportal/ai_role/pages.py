"""The first page of the AI service: the box to ask in, and what was asked."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from aiworkflows.models import Proposal

SHOWN = 20


@login_required
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    rows = Proposal.objects.visible_to(request.user).select_related("author")[:SHOWN]
    context = {"proposals": rows, "typed": request.GET.get("request", "")}
    return render(request, "ai_role/overview.html", context)
