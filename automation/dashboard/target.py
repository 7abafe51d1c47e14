"""One target: what we know of it, its identity, its tests, and what ran there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from automation.ask_test import ask_test
from automation.dashboard.rights import require, why_not
from automation.login_choice import Choices
from automation.models import HostKey, RunTarget, StepResult, Target, TargetLock, TargetTest
from automation.models.results import GOOD, UNFINISHED

RUNS_SHOWN = 20
TESTS_SHOWN = 10
PHASES = {
    "resolve": "Resolve the name",
    "tcp": "Connect",
    "banner": "Greeting of the SSH server",
    "identity": "Identity: host key",
    "login": "Log in",
    "shell": "Start the shell",
}
KEY_FILES = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}


@dataclass(frozen=True, slots=True)
class RunHere:
    """One run on this target, and the first step that went wrong here."""

    row: RunTarget
    trouble: StepResult | None

    @property
    def state(self) -> str:
        if self.row.good is None:
            return "running" if self.row.state == RunTarget.State.CHANGING else "pending"
        if self.row.good:
            return "succeeded"
        return str(self.trouble.state) if self.trouble else "failed"


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A host key with what to compare it with."""

    key: HostKey
    replaces: HostKey | None

    @property
    def file(self) -> str:
        """The file on the machine that holds this key."""
        kind = KEY_FILES.get(self.key.key_type, "ecdsa")
        return f"/etc/ssh/ssh_host_{kind}_key.pub"


@login_required
@require_GET
def target(request: HttpRequest, pk: int) -> HttpResponse:
    found = _visible(request, pk)
    context = _tested(request, found) | {
        "login": Choices().of(found),
        "variables": sorted(found.variable_sources().items()),
        "spools": found.spools.order_by("become"),
        "locks": TargetLock.objects.filter(run_target__target=found).select_related("run"),
        "runs": _runs_on(found),
    }
    return render(request, "automation/target.html", context)


@login_required
@require_GET
def target_tested(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that a test changes."""
    return render(request, "automation/target_tested.html", _tested(request, _visible(request, pk)))


@login_required
@require_POST
def target_test(request: HttpRequest, pk: int) -> HttpResponse:
    found = _visible(request, pk)
    require(request.user, "runs:submit")
    assert isinstance(request.user, User)  # noqa: S101  (login_required)
    ask_test(found, by=request.user)
    return redirect(f"{reverse('target', args=[found.pk])}#test")


@login_required
@require_POST
def host_key_trust(request: HttpRequest, pk: int) -> HttpResponse:
    """A person who compared the fingerprint vouches for the key."""
    key = _decidable(request, pk)
    if request.POST.get("compared") != "yes":
        messages.error(
            request, "Compare the fingerprint with the one on the machine, tick that you did, then trust it."
        )
    else:
        key.trust(by=request.user)
        messages.success(request, f"Trusted {key.fingerprint}. Work on {key.target.name} can start.")
    return redirect("target", pk=key.target_id)


@login_required
@require_POST
def host_key_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    key = _decidable(request, pk)
    key.revoke(by=request.user)
    messages.success(
        request, f"Revoked {key.fingerprint}. {key.target.name} cannot prove itself by it any more."
    )
    return redirect("target", pk=key.target_id)


def _visible(request: HttpRequest, pk: int) -> Target:
    require(request.user, "inventory:read")
    return get_object_or_404(Target.objects.visible_to(request.user).with_plan_parts(), pk=pk)


def _decidable(request: HttpRequest, pk: int) -> HostKey:
    require(request.user, "inventory:write")
    return get_object_or_404(HostKey.objects.visible_to(request.user).select_related("target"), pk=pk)


def _tested(request: HttpRequest, found: Target) -> dict[str, Any]:
    keys = list(found.host_keys.select_related("decided_by").order_by("-seen_at", "-pk"))
    tests = list(found.tests.select_related("asked_by")[:TESTS_SHOWN])
    shown = [ShownKey(key, _replaced_by(key, keys)) for key in keys]
    return {
        "target": found,
        "tests": tests,
        "test": tests[0] if tests else None,
        "last_done": next((test for test in tests if test.state == TargetTest.State.DONE), None),
        "phases": _phases(tests[0]) if tests else [],
        "alarms": [each for each in shown if each.key.state == HostKey.State.CHANGED],
        "host_keys": shown,
        "why_not_test": why_not(request.user, "runs:submit"),
        "why_not_trust": why_not(request.user, "inventory:write"),
    }


def _replaced_by(key: HostKey, keys: list[HostKey]) -> HostKey | None:
    """The trusted key in whose place this one was shown: of its type, else any."""
    trusted = [other for other in keys if other.state == HostKey.State.TRUSTED and other.pk != key.pk]
    return next(
        (other for other in trusted if other.key_type == key.key_type), trusted[0] if trusted else None
    )


def _phases(test: TargetTest) -> list[dict[str, Any]]:
    """Each phase with its words and its look."""
    states = {"ok": "ok", "skipped": "skipped"}
    return [
        {
            "label": PHASES.get(phase["name"], phase["name"]),
            "state": states.get(phase["code"], "failed"),
            "code": phase["code"],
            "seconds": phase["duration_seconds"],
        }
        for phase in test.phases
    ]


def _runs_on(found: Target) -> list[RunHere]:
    rows = list(found.runs.select_related("run__submitted_by").order_by("-pk")[:RUNS_SHOWN])
    bad = StepResult.objects.filter(run_target__in=rows).exclude(state__in=(*GOOD, *UNFINISHED))
    trouble: dict[int, StepResult] = {}
    for result in bad.order_by("-step_index"):
        trouble[result.run_target_id] = result
    return [RunHere(row, trouble.get(row.pk)) for row in rows]
