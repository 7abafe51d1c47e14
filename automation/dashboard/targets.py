"""The list of targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Page, Paginator
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from automation.dashboard.rights import require
from automation.definitions.errors import QueryError
from automation.definitions.query import parse
from automation.login_choice import Choice, Choices
from automation.models import HostKey, Target, TargetTest
from automation.models.inventory import HostKeyQuerySet
from automation.plan import matching
from credentials.models import Credential

PAGE_SIZE = 50
ALARMS_SHOWN = 5
EXAMPLES = ("env:prod", 'group:"web servers" -name:db*', "os:linux tag:web")


@dataclass(frozen=True, slots=True)
class TargetRow:
    """A target in the list, with its newest finished test."""

    target: Target
    last_test: TargetTest | None
    login: Choice[Credential]

    @property
    def health(self) -> str:
        if self.last_test is None:
            return "untested"
        return "reachable" if self.last_test.success else "unhealthy"


@login_required
def targets(request: HttpRequest) -> HttpResponse:
    """All targets, or those that the query in `q` names; `keys` chooses by the state of host keys."""
    require(request.user, "inventory:read")
    text = request.GET.get("q", "").strip()
    keys = request.GET.get("keys", "")
    visible = Target.objects.visible_to(request.user).with_plan_parts()
    chosen: Any = visible
    if keys in HostKey.State.values:
        chosen = chosen.filter(Exists(HostKey.objects.filter(target=OuterRef("pk"), state=keys)))
    error = ""
    if text:
        try:
            chosen = matching(parse(text), list(chosen))
        except QueryError as found:
            chosen, error = [], _sentence(found)
    page = Paginator(chosen, PAGE_SIZE).get_page(request.GET.get("page"))
    host_keys = HostKey.objects.visible_to(request.user)
    context = {
        "page": page,
        "rows": _rows(page),
        "query": text,
        "query_error": error,
        "keys": keys if keys in HostKey.State.values else "",
        "examples": EXAMPLES,
        "alarms": host_keys.filter(state=HostKey.State.CHANGED).select_related("target")[:ALARMS_SHOWN],
        "changed_count": _targets_with(host_keys, HostKey.State.CHANGED),
        "pending_count": host_keys.filter(state=HostKey.State.PENDING).count(),
    }
    return render(request, "automation/targets.html", context)


def _targets_with(host_keys: HostKeyQuerySet, state: str) -> int:
    return host_keys.filter(state=state).values("target").distinct().order_by().count()


def _rows(page: Page[Target]) -> list[TargetRow]:
    shown = list(page)
    tests = TargetTest.objects.last_of(shown)
    choices = Choices()
    return [TargetRow(target, tests.get(target.pk), choices.of(target)) for target in shown]


def _sentence(error: QueryError) -> str:
    return f"Column {error.column}: {error.message}."
