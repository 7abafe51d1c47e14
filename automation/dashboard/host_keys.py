"""Host keys of many targets at once: shown beside each other, and decided about together."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from automation.dashboard.rights import require, why_not
from automation.dashboard.target import ShownKey
from automation.dashboard.targets import safe_return
from automation.models import HostCertificateAuthority, HostKey

PAGE_SIZE = 100
STATES = (HostKey.State.PENDING, HostKey.State.CHANGED, HostKey.State.TRUSTED, HostKey.State.REVOKED)


@login_required
@require_GET
def host_keys(request: HttpRequest) -> HttpResponse:
    """The keys in one state, those to look at first, with a box for each."""
    require(request.user, "inventory:read")
    state = request.GET.get("state", "")
    if state not in STATES:
        state = str(HostKey.State.PENDING)
    visible = HostKey.objects.visible_to(request.user)
    chosen = visible.filter(state=state).select_related("target", "decided_by").order_by("target__name", "pk")
    page = Paginator(chosen, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "state": state,
        "counts": [(str(each), visible.filter(state=each).count()) for each in STATES],
        "shown_keys": _beside_trusted(list(page)),
        "authorities": HostCertificateAuthority.objects.visible_to(request.user).prefetch_related("groups"),
        "why_not_trust": why_not(request.user, "inventory:write"),
        "why_not_scan": why_not(request.user, "runs:submit"),
    }
    return render(request, "automation/host_keys.html", context)


@login_required
@require_POST
def host_keys_decide(request: HttpRequest) -> HttpResponse:
    """Trust or revoke the keys whose boxes are ticked, all or none."""
    require(request.user, "inventory:write")
    back = safe_return(request, reverse("host-keys"))
    numbers = [text for text in request.POST.getlist("key") if text.isascii() and text.isdigit()]
    visible = HostKey.objects.visible_to(request.user).select_related("target")
    keys = list(visible.filter(pk__in=numbers[:PAGE_SIZE]))
    verb = request.POST.get("verb", "")
    if not keys:
        messages.error(request, "Tick the keys that you mean.")
    elif verb == "trust" and request.POST.get("compared") != "yes":
        messages.error(
            request,
            "Compare each fingerprint with the one on its machine, tick that you did, then trust them.",
        )
    elif verb in ("trust", "revoke"):
        _decide(request, verb, keys)
    return redirect(back)


def _decide(request: HttpRequest, verb: str, keys: list[HostKey]) -> None:
    decide: Any = {"trust": HostKey.objects.trust_all, "revoke": HostKey.objects.revoke_all}[verb]
    try:
        count = decide(keys, by=request.user)
    except ValueError as error:
        messages.error(request, f"Nothing was trusted. {error}")
        return
    word = "Trusted" if verb == "trust" else "Revoked"
    messages.success(request, f"{word}: {count} host key{'' if count == 1 else 's'}.")


def _beside_trusted(keys: list[HostKey]) -> list[ShownKey]:
    """Each key with the trusted one of its type and target in whose place it was shown."""
    targets = {key.target_id for key in keys if key.state == HostKey.State.CHANGED}
    trusted = {
        (key.target_id, key.key_type): key
        for key in HostKey.objects.filter(target__in=targets, state=HostKey.State.TRUSTED)
    }
    return [ShownKey(key, trusted.get((key.target_id, key.key_type))) for key in keys]
