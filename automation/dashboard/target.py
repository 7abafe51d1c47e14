"""One target: what we know of it, its identity, its tests, and what ran there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from automation.ask_test import ask_test
from automation.belonging import candidates
from automation.dashboard.rights import require, why_not
from automation.libraries.facts import KNOWN
from automation.login_choice import Choices
from automation.login_fit import misfit
from automation.models import (
    HostKey,
    RunTarget,
    StepResult,
    Target,
    TargetLock,
    TargetTest,
)
from automation.models.results import GOOD, UNFINISHED
from automation.ways import Ways

RUNS_SHOWN = 20
BEHIND_SHOWN = 50
TESTS_SHOWN = 10
PHASES = {
    "bastion": "Log in on the way: bastions",
    "resolve": "Resolve the name",
    "tcp": "Connect",
    "tls": "Encrypt: TLS and certificate",
    "protocol": "Greeting of the WinRM service",
    "credential": "Log in",
    "banner": "Greeting of the SSH server",
    "identity": "Identity: host key",
    "login": "Log in",
    "shell": "Start the shell",
    "sudo": "Become root by sudo",
    "spool": "Find a place for scripts",
    "detaching": "Let scripts outlive a lost connection",
}
NO_FAILURE = ("sudo", "spool", "detaching")
"""Phases without which a target is good for reading steps, and for more than that."""
PLACES = {"test": "test", "scan": "host-keys", "facts": "machine"}
"""Where on the page the result of each kind of look appears."""
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
    [candidate] = candidates([found])
    login = Choices().of(found)
    context = _tested(request, found) | {
        "login": login,
        "misfit": misfit({"winrm": found.winrm} if found.speaks_winrm else {}, login.credential),
        "memberships": [(name, f'group:"{name}"', why) for name, why in candidate.memberships()],
        "variables": sorted(candidate.variable_sources().items()),
        "in_maintenance": "maintenance" in candidate.flags,
        "why_not_edit": why_not(request.user, "inventory:write"),
        "spools": found.spools.order_by("become"),
        "locks": TargetLock.objects.filter(run_target__target=found).select_related("run"),
        "runs": _runs_on(found),
        "way": _way(found),
        "behind": found.behind.order_by("name")[:BEHIND_SHOWN],
    }
    return render(request, "automation/target.html", context)


@login_required
@require_GET
def target_tested(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that a test changes."""
    return render(request, "automation/target_tested.html", _tested(request, _visible(request, pk)))


@login_required
@require_POST
def target_look(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    """Have a worker test the target, ask for its host keys, or ask what it is."""
    found = _visible(request, pk)
    require(request.user, "runs:submit")
    assert isinstance(request.user, User)  # noqa: S101  (login_required)
    if kind not in PLACES:
        raise Http404
    ask_test(found, by=request.user, kind=kind)
    return redirect(f"{reverse('target', args=[found.pk])}#{PLACES[kind]}")


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
    # A worker writes what it found and then that the look is done; read the other way round, a page that asks
    # no more has everything.
    looks = found.tests.select_related("asked_by")
    tests = list(looks.of_kind(TargetTest.Kind.TEST)[:TESTS_SHOWN])
    scan = looks.of_kind(TargetTest.Kind.SCAN).first()
    facts_look = looks.of_kind(TargetTest.Kind.FACTS).first()
    found.refresh_from_db(fields=("facts", "facts_at"))
    keys = list(found.host_keys.select_related("decided_by").order_by("-seen_at", "-pk"))
    shown = [ShownKey(key, _replaced_by(key, keys)) for key in keys]
    return {
        "target": found,
        "without_certificate": found.speaks_winrm and found.winrm.get("https") is False,
        "tests": tests,
        "test": tests[0] if tests else None,
        "last_done": next((test for test in tests if test.state == TargetTest.State.DONE), None),
        "phases": _phases(tests[0]) if tests else [],
        "alarms": [each for each in shown if each.key.state == HostKey.State.CHANGED],
        "host_keys": shown,
        "authorities": Ways.of([found]).authorities_for(found),
        "scan": scan,
        "facts": _facts(found),
        "facts_look": facts_look,
        "is_looking": any(look is not None and look.is_open for look in (*tests[:1], scan, facts_look)),
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
            "state": states.get(phase["code"], "partial" if phase["name"] in NO_FAILURE else "failed"),
            "code": phase["code"],
            "seconds": phase["duration_seconds"],
            "message": phase.get("message", ""),
        }
        for phase in test.phases
    ]


def _way(found: Target) -> list[Target]:
    """The bastions in the order in which we go through them."""
    try:
        return list(reversed(found.way(Target.objects.bastions_of([found]))))
    except ValueError:
        return [] if found.bastion is None else [found.bastion]


def _facts(found: Target) -> list[tuple[str, str, str]]:
    """Label, name and value of each fact; those that no label is known for come last."""
    known = [(label, name, found.facts[name]) for name, (_, label) in KNOWN.items() if name in found.facts]
    others = [(name, name, value) for name, value in sorted(found.facts.items()) if name not in KNOWN]
    return [(label, name, _shown_fact(value)) for label, name, value in (*known, *others)]


def _shown_fact(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _runs_on(found: Target) -> list[RunHere]:
    rows = list(found.runs.select_related("run__submitted_by").order_by("-pk")[:RUNS_SHOWN])
    bad = StepResult.objects.filter(run_target__in=rows).exclude(state__in=(*GOOD, *UNFINISHED))
    trouble: dict[int, StepResult] = {}
    for result in bad.order_by("-step_index"):
        trouble[result.run_target_id] = result
    return [RunHere(row, trouble.get(row.pk)) for row in rows]
