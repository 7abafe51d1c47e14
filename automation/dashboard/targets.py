"""The list of targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Page, Paginator
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from automation.belonging import GroupTree, candidates
from automation.choose import FILTERS, filtered, matching
from automation.dashboard.rights import require, why_not
from automation.definitions.errors import QueryError
from automation.definitions.query import parse
from automation.models import Group, HostKey, Target, TargetTest
from automation.models.inventory import HostKeyQuerySet

PAGE_SIZE = 50
ALARMS_SHOWN = 5
EXAMPLES = ("env:prod", 'group:"web servers" -name:db*', "os:linux (tag:web or tag:api)")
EXPORTS = (
    ("csv", "CSV"),
    ("json", "JSON"),
    ("ansible-yaml", "Ansible, YAML"),
    ("ansible-ini", "Ansible, INI"),
    ("http-sd", "Prometheus"),
    ("ssh-config", "ssh_config"),
)


@dataclass(frozen=True, slots=True)
class TargetRow:
    """A target in the list, with its newest finished test."""

    target: Target
    groups: tuple[str, ...]
    last_test: TargetTest | None

    @property
    def in_maintenance(self) -> bool:
        return self.target.in_maintenance(timezone.now())

    @property
    def health(self) -> str:
        if self.last_test is None:
            return "untested"
        return "reachable" if self.last_test.success else "unhealthy"


@login_required
def targets(request: HttpRequest) -> HttpResponse:
    """All targets, or those that the query in `q` and the filters name; `keys` chooses by host keys."""
    require(request.user, "inventory:read")
    text = request.GET.get("q", "").strip()
    keys = request.GET.get("keys", "")
    visible = Target.objects.visible_to(request.user).with_plan_parts()
    chosen: Any = visible
    if keys in HostKey.State.values:
        chosen = chosen.filter(Exists(HostKey.objects.filter(target=OuterRef("pk"), state=keys)))
    filters = {name: request.GET.get(name, "").strip() for name in FILTERS}
    tree = GroupTree.load()
    error = caret = ""
    try:
        query = filtered(parse(text) if text else None, filters)
        chosen = matching(query, chosen, tree=tree) if query is not None else chosen
    except QueryError as found:
        chosen, error, caret = [], found.sentence, found.caret
    page = Paginator(chosen, PAGE_SIZE).get_page(request.GET.get("page"))
    host_keys = HostKey.objects.visible_to(request.user)
    context = {
        "page": page,
        "rows": _rows(page, tree),
        "query": text,
        "query_error": error,
        "query_caret": caret,
        "filters": filters,
        "filtering": bool(text or keys or any(filters.values())),
        "environments": _known(visible, "environment"),
        "groups": Group.objects.visible_to(request.user).values_list("name", flat=True),
        "exports": EXPORTS,
        "why_not_import": why_not(request.user, "inventory:write"),
        "keys": keys if keys in HostKey.State.values else "",
        "examples": EXAMPLES,
        "alarms": host_keys.filter(state=HostKey.State.CHANGED).select_related("target")[:ALARMS_SHOWN],
        "changed_count": _targets_with(host_keys, HostKey.State.CHANGED),
        "pending_count": host_keys.filter(state=HostKey.State.PENDING).count(),
    }
    return render(request, "automation/targets.html", context)


def _targets_with(host_keys: HostKeyQuerySet, state: str) -> int:
    return host_keys.filter(state=state).values("target").distinct().order_by().count()


def _rows(page: Page[Target], tree: GroupTree) -> list[TargetRow]:
    shown = list(page)
    tests = TargetTest.objects.last_of(shown)
    return [
        TargetRow(each.target, each.groups, tests.get(each.target.pk)) for each in candidates(shown, tree)
    ]


def _known(targets: Any, column: str) -> list[str]:
    found = targets.order_by(column).exclude(**{column: ""}).values_list(column, flat=True).distinct()
    return list(found)
