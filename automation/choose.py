"""Choosing: the targets that a query names, which of them a run leaves out, and the reasons for both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from django.utils import timezone

from automation.belonging import Candidate, GroupTree, candidates
from automation.definitions import query as language
from automation.definitions.query import Node, Query, Term
from automation.definitions.rollout import in_order
from automation.models import Target

WORDS = {
    "name": "name",
    "group": "in group",
    "os": "platform",
    "env": "environment",
    "tag": "tag",
    "zone": "zone",
    "is": "is",
}
KEYED_WORDS = {"var": "variable", "fact": "fact"}


# The filters that lists offer beside the query, with the field of the query each stands for.
FILTERS = {"platform": "os", "environment": "env", "group": "group", "flag": "is"}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A target that the query names and the run does not take."""

    name: str
    code: str
    why: str

    def as_dict(self) -> dict[str, Any]:
        return {"target": self.name, "code": self.code, "why": self.why}


@dataclass(frozen=True, slots=True)
class Choice:
    """What a query comes to: `chosen` in the order of a rollout, and how many usable targets groups have."""

    chosen: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...]
    group_sizes: dict[str, int]

    @property
    def targets(self) -> list[Target]:
        return [each.target for each in self.chosen]


def matching(query: Query, targets: Iterable[Target], *, tree: GroupTree | None = None) -> list[Target]:
    """Those of `targets` that the query names, in the order in which a rollout takes them."""
    return [
        each.target for each in _sorted(each for each in candidates(targets, tree) if query.matches(each))
    ]


def filtered(query: Query | None, filters: Mapping[str, str]) -> Query | None:
    """The query with what `filters` (by the names of FILTERS) ask for beside it; None when nothing is asked.

    Raises QueryError for a platform or flag there is none of.
    """
    terms = [term for name, value in filters.items() for term in language.read_term(FILTERS[name], value)]
    parts = [*([query.root] if query is not None else []), *terms]
    if not parts:
        return None
    return Query(parts[0] if len(parts) == 1 else language.Group(tuple(parts)))


class Naming(Protocol):
    """What names targets: a query, or an earlier run."""

    def matches(self, candidate: Candidate, /) -> bool:
        """Whether it names this one."""


def choose(query: Naming, targets: Iterable[Target], *, include_maintenance: bool = False) -> Choice:
    """What a run on `query` takes of `targets`, which it leaves out, and why.

    A disabled target is never taken; one in maintenance only with `include_maintenance`.
    """
    chosen: list[Candidate] = []
    left_out: list[LeftOut] = []
    sizes: dict[str, int] = {}
    for each in candidates(targets):
        if each.target.enabled:
            for group in each.groups:
                sizes[group] = sizes.get(group, 0) + 1
        if not query.matches(each):
            continue
        if reason := _obstacle(each, include_maintenance=include_maintenance):
            left_out.append(reason)
        else:
            chosen.append(each)
    in_its_order = sorted(left_out, key=lambda each: (each.name.casefold(), each.name))
    return Choice(tuple(_sorted(chosen)), tuple(in_its_order), sizes)


def _sorted(found: Iterable[Candidate]) -> list[Candidate]:
    by_name = {each.name: each for each in found}
    return [by_name[name] for name in in_order(by_name)]


def _obstacle(candidate: Candidate, *, include_maintenance: bool) -> LeftOut | None:
    target = candidate.target
    if not target.enabled:
        return LeftOut(target.name, "target.disabled", "disabled")
    if "maintenance" in candidate.flags and not include_maintenance:
        return LeftOut(target.name, "target.maintenance", maintenance_words(target))
    return None


def maintenance_words(target: Target) -> str:
    """That the target is in maintenance, until when and why, as far as that was given."""
    until = target.maintenance_until
    end = f" until {timezone.localtime(until):%Y-%m-%d %H:%M %Z}" if until is not None else ""
    reason = f": {target.maintenance_reason}" if target.maintenance_reason else ""
    return f"in maintenance{end}{reason}"


def reasons(query: Query, candidate: language.Candidate) -> list[str]:
    """In words, why the query names this candidate; what let it in stands first."""
    parts = sorted(query.reasons(candidate), key=lambda part: part.negated)
    return [_reason(part, candidate) for part in parts]


def _reason(part: Node, candidate: language.Candidate) -> str:
    if part.negated:
        return f"not left out by {part.to_text()}"
    if not isinstance(part, Term):
        return part.to_text()
    if part.field == "all":
        return "all targets were asked for"
    found = part.matched(candidate)
    if part.field in KEYED_WORDS:
        return f"{KEYED_WORDS[part.field]} {part.key} is {', '.join(found)}"
    if part.field == "group" and isinstance(candidate, Candidate):
        found = tuple(f"{name} {why}".strip() for name in found for why in (candidate.why_in(name),))
    pattern = f" (matches {part.to_text()})" if part.has_wildcard else ""
    return f"{WORDS[part.field]} {', '.join(found)}{pattern}"
