"""The list of groups: how they lie in one another, whom they hold, and what they set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from automation.belonging import GroupTree, candidates, members_of
from automation.dashboard.rights import require
from automation.models import Group, Target

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group in the list, at its depth below the outermost one."""

    group: Group
    depth: int
    size: int
    variables: list[tuple[str, object]] = field(default_factory=list)

    @property
    def as_query(self) -> str:
        return f'group:"{self.group.name}"'

    @property
    def indent(self) -> range:
        return range(min(self.depth, 6))


@login_required
@require_GET
def groups(request: HttpRequest) -> HttpResponse:
    """All groups, those inside others below them; one that lies in several stands below each."""
    require(request.user, "inventory:read")
    visible = {group.pk: group for group in Group.objects.visible_to(request.user).with_nesting()}
    tree = GroupTree.load()
    targets = Target.objects.visible_to(request.user).prefetch_related("groups")
    sizes = {name: len(members) for name, members in members_of(candidates(targets, tree)).items()}
    rows = [
        GroupRow(group, depth, sizes.get(group.name, 0), sorted(group.variables.items()))
        for group, depth in _nested(visible)
    ]
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"page": page, "rows": list(page), "count": len(visible)}
    return render(request, "automation/groups.html", context)


def _nested(groups: dict[int, Group]) -> list[tuple[Group, int]]:
    """Each group with its depth, in the order in which a tree is read; what is in it is told once."""
    found: list[tuple[Group, int]] = []
    told: set[int] = set()
    waiting = [(group, 0) for group in _by_name(groups.values()) if not group.parents.all()]
    while waiting:
        group, depth = waiting.pop()
        found.append((group, depth))
        if group.pk in told:
            continue
        told.add(group.pk)
        inside = [groups[child.pk] for child in group.children.all() if child.pk in groups]
        waiting += [(child, depth + 1) for child in _by_name(inside)]
    return found


def _by_name(groups: Iterable[Group]) -> list[Group]:
    # Taken from the end, so the last name first.
    return sorted(groups, key=lambda group: group.name.casefold(), reverse=True)
