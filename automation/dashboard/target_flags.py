"""Taking a target out of runs, and back in."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from automation.dashboard.rights import require
from automation.models import Target

MAX_HOURS = 24 * 90
SAID = {
    "enabled": "{0} is enabled: runs may take it.",
    "disabled": "{0} is disabled: no run takes it, and one that is at work sends nothing more to it.",
    "maintenance": "{0} is in maintenance: only runs that ask for such targets take it.",
    "ready": "The maintenance of {0} is over.",
}


@login_required
@require_POST
def target_flags(request: HttpRequest, pk: int) -> HttpResponse:
    """`to` says what becomes of it: enabled, disabled, maintenance (with `hours` and `reason`) or ready."""
    require(request.user, "inventory:write")
    found = get_object_or_404(Target.objects.visible_to(request.user), pk=pk)
    wanted = request.POST.get("to", "")
    hours = request.POST.get("hours", "").strip()
    if wanted not in SAID:
        messages.error(request, "Choose what to change.")
    elif wanted == "maintenance" and hours and not _is_hours(hours):
        messages.error(request, f"Hours are a whole number from 1 to {MAX_HOURS}, or empty. Nothing changed.")
    else:
        _change(found, wanted, hours, request.POST.get("reason", "").strip()[:500])
        messages.success(request, SAID[wanted].format(found.name))
    return redirect("target", pk=found.pk)


def _is_hours(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_HOURS


def _change(found: Target, wanted: str, hours: str, reason: str) -> None:
    if wanted in ("enabled", "disabled"):
        found.enable(wanted == "enabled")
    elif wanted == "maintenance":
        until = timezone.now() + timedelta(hours=int(hours)) if hours else None
        found.start_maintenance(until=until, reason=reason)
    else:
        found.end_maintenance()
