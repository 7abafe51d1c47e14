"""The list of targets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.paginator import Page, Paginator
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from automation.ask_test import TooMany, ask_tests
from automation.belonging import GroupTree, candidates
from automation.choose import FILTERS, filtered, matching
from automation.dashboard.rights import require, why_not
from automation.definitions.errors import QueryError
from automation.definitions.query import parse
from automation.login_choice import Choice, Choices
from automation.models import Group, HostKey, Target, TargetTest
from automation.models.inventory import HostKeyQuerySet
from credentials.models import Credential

PAGE_SIZE = 50
ALARMS_SHOWN = 5
ASKED = {
    "test": "Testing, a few at a time:",
    "scan": "Asking for their host keys, a few at a time:",
    "facts": "Asking what they are, a few at a time:",
}
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
    login: Choice[Credential]
    overdue: bool = False
    """Its last test is older than two of the intervals at which targets are tested."""

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
        "why_not_test": why_not(request.user, "runs:submit"),
    }
    return render(request, "automation/targets.html", context)


@login_required
@require_POST
def targets_look(request: HttpRequest) -> HttpResponse:
    """Have the targets of a query looked at, a few at a time."""
    require(request.user, "runs:submit")
    assert isinstance(request.user, User)  # noqa: S101  (login_required)
    text, kind = request.POST.get("q", "").strip(), request.POST.get("kind", "")
    back = safe_return(request, reverse("targets"))
    try:
        query = parse(text or "all")
        if kind not in TargetTest.Kind.values:
            raise TooMany("Choose what to do with them.")
        visible = Target.objects.visible_to(request.user).usable().with_plan_parts()
        asked = ask_tests(matching(query, list(visible)), by=request.user, kind=kind)
    except QueryError as found:
        messages.error(request, found.sentence)
    except TooMany as found:
        messages.error(request, str(found))
    else:
        messages.success(request, f"{ASKED[kind]} {len(asked)} target{'' if len(asked) == 1 else 's'}.")
    return redirect(back)


def safe_return(request: HttpRequest, otherwise: str) -> str:
    """The page of ours that the form names to come back to."""
    wanted = request.POST.get("next", "")
    ours = url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if wanted.startswith("/") and ours else otherwise


def _targets_with(host_keys: HostKeyQuerySet, state: str) -> int:
    return host_keys.filter(state=state).values("target").distinct().order_by().count()


def _rows(page: Page[Target], tree: GroupTree) -> list[TargetRow]:
    shown = list(page)
    tests = TargetTest.objects.last_of(shown)
    choices = Choices()
    found = []
    for each in candidates(shown, tree):
        test, login = tests.get(each.target.pk), choices.of(each.target)
        found.append(TargetRow(each.target, each.groups, test, login, _is_overdue(each.target, test)))
    return found


def _is_overdue(target: Target, test: TargetTest | None) -> bool:
    every = timedelta(minutes=settings.OPSPORTAL_TEST_MINUTES)
    refused = test is not None and test.code.startswith("auth.")  # then the clock waits on purpose
    if not every or refused or not target.enabled:
        return False
    return (test.created_at if test is not None else target.created_at) < timezone.now() - 2 * every


def _known(targets: Any, column: str) -> list[str]:
    found = targets.order_by(column).exclude(**{column: ""}).values_list(column, flat=True).distinct()
    return list(found)
