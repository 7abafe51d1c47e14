"""What needs me, what runs now, what ran."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from automation.dashboard.run_rows import rows_of, shown
from automation.models import JobRun, RunStatus, Target
from automation.models.runs import FINAL, LIVE
from credentials.models import Credential

NEEDED, LIVE_SHOWN, RECENT, EXPIRING = 10, 10, 8, 10


@login_required
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    return render(
        request, "overview/overview.html", _now(request) | {"typed": request.GET.get("request", "")}
    )


@login_required
@require_safe
def overview_now(request: HttpRequest) -> HttpResponse:
    """The part of the page that keeps itself fresh."""
    return render(request, "overview/now.html", _now(request))


def _now(request: HttpRequest) -> dict[str, Any]:
    user = request.user
    runs = shown(JobRun.objects.visible_to(user))
    mine = runs.asked_for_by(user)
    to_decide, to_start, with_others, live, recent = rows_of(
        runs.decidable_by(user).order_by("expires_at")[:NEEDED],
        mine.filter(status=RunStatus.HELD)[:NEEDED],
        mine.filter(status=RunStatus.AWAITING_APPROVAL)[:NEEDED],
        runs.filter(status__in=LIVE)[:LIVE_SHOWN],
        runs.filter(status__in=FINAL)[:RECENT],
    )
    return {
        "to_decide": to_decide,
        "to_start": to_start,
        "with_others": with_others,
        "live": live,
        "recent": recent,
        "credentials": Credential.objects.visible_to(user).with_expiry()[:EXPIRING],
        "has_targets": Target.objects.visible_to(user).exists(),
    }
