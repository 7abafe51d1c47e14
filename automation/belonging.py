"""Which groups a target is in, why, and which variables it has from where.

A group holds the targets put into it, all those of the groups below it, and those that its query names. A
group's query may name other groups and look at variables that groups set, as long as no group comes to depend
on itself. Variables: an outer group's first, then those of the groups inside it, then the target's own; the
nearest holds, and of groups equally deep the one later in the alphabet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any, Self

from django.utils import timezone

from automation.definitions.query import Query, parse
from automation.models import Group, Target


class CircleError(ValueError):
    """A group would come to depend on itself; `names` is the way round."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        super().__init__(
            f"Groups would lead in a circle: {' → '.join(names)}. Take one of them out of the other."
        )


@dataclass(frozen=True, slots=True)
class GroupNode:
    """A group as far as belonging is concerned; `parents` are ids."""

    pk: int
    name: str
    parents: frozenset[int]
    query: Query | None
    variables: Mapping[str, Any]

    @classmethod
    def of(cls, group: Group) -> Self:
        return cls(
            pk=group.pk,
            name=group.name,
            parents=frozenset(parent.pk for parent in group.parents.all()),
            query=parse(group.query) if group.query else None,
            variables=group.variables,
        )


@dataclass(frozen=True, slots=True)
class VariableSource:
    """One place that gives a variable its value; no group means the target itself."""

    value: Any
    group: GroupNode | None


class GroupTree:
    """All groups, and how they lead to one another. Raises CircleError where they lead in a circle."""

    def __init__(self, nodes: Iterable[GroupNode]) -> None:
        self.now = timezone.now()
        self.nodes = {node.pk: node for node in nodes}
        self.children: dict[int, list[int]] = {pk: [] for pk in self.nodes}
        for node in self.nodes.values():
            for parent in node.parents & self.nodes.keys():
                self.children[parent].append(node.pk)
        order = self._in_order({pk: self._needs(node) for pk, node in self.nodes.items()})
        self.dynamic = [self.nodes[pk] for pk in order if self.nodes[pk].query is not None]
        self.above: dict[int, frozenset[int]] = {}
        self.depth: dict[int, int] = {}
        # Parents first, so that each finds its parents done.
        for pk in self._in_order({pk: node.parents & self.nodes.keys() for pk, node in self.nodes.items()}):
            parents = self.nodes[pk].parents & self.nodes.keys()
            self.above[pk] = parents.union(*(self.above[parent] for parent in parents))
            self.depth[pk] = 1 + max((self.depth[parent] for parent in parents), default=-1)

    @classmethod
    def load(cls) -> Self:
        """The groups as they are now, in two queries."""
        return cls(GroupNode.of(group) for group in Group.objects.prefetch_related("parents"))

    def with_group(self, node: GroupNode) -> GroupTree:
        """The tree as it would be with this group in the place of the one with its id. Raises CircleError."""
        return GroupTree([*(each for each in self.nodes.values() if each.pk != node.pk), node])

    def names(self, ids: Iterable[int]) -> list[str]:
        """Names of groups, in their order."""
        return sorted((self.nodes[pk].name for pk in ids), key=str.casefold)

    def _needs(self, node: GroupNode) -> set[int]:
        """The groups whose members must be known before this one's."""
        needed = set(self.children[node.pk])
        for term in node.query.terms if node.query is not None else ():
            for other in self.nodes.values():
                named = term.field == "group" and replace(term, negated=False).matches(_Named(other.name))
                if named or (term.field == "var" and term.key in other.variables):
                    needed.add(other.pk)
        return needed

    def _in_order(self, needs: Mapping[int, Collection[int]]) -> list[int]:
        try:
            return list(TopologicalSorter(needs).static_order())
        except CycleError as error:
            raise CircleError([self.nodes[pk].name for pk in error.args[1]]) from None


@dataclass(frozen=True, slots=True)
class _Named:
    """A target of which only the one group is known, to see whether a term names that group."""

    group: str
    name: str = ""
    tags: tuple[str, ...] = ()
    environment: str | None = None
    platform: str | None = None
    zone: str | None = None
    flags: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        return (self.group,)

    @property
    def variables(self) -> Mapping[str, object]:
        return {}

    @property
    def facts(self) -> Mapping[str, object]:
        return {}


class Candidate:
    """A target as a query sees it: with all its groups and the variables they give it."""

    def __init__(self, target: Target, tree: GroupTree) -> None:
        self.target = target
        self._tree = tree
        self._why: dict[int, str] = {}
        for group in target.groups.all():
            self._join(group.pk, "")
        for node in tree.dynamic:
            if node.pk not in self._why and node.query is not None and node.query.matches(self):
                self._join(node.pk, f"by its query {node.query.to_text()}")

    def _join(self, pk: int, why: str) -> None:
        # A group made since the tree was read is not in it.
        if pk not in self._tree.nodes:
            return
        self._why.setdefault(pk, why)
        for above in self._tree.above[pk]:
            self._why.setdefault(above, f"through {self._tree.nodes[pk].name}")
        # What was read of it while it was not yet in this group no longer holds.
        for known in ("groups", "variables"):
            self.__dict__.pop(known, None)

    @property
    def name(self) -> str:
        return self.target.name

    @cached_property
    def groups(self) -> tuple[str, ...]:
        return tuple(self._tree.names(self._why))

    @property
    def tags(self) -> list[str]:
        return list(self.target.tags)

    @property
    def environment(self) -> str:
        return self.target.environment

    @property
    def platform(self) -> str:
        return self.target.platform

    @property
    def zone(self) -> str:
        return self.target.zone

    @property
    def facts(self) -> Mapping[str, object]:
        return dict(self.target.facts)

    @cached_property
    def flags(self) -> tuple[str, ...]:
        return self.target.flags(self._tree.now)

    @cached_property
    def variables(self) -> dict[str, Any]:
        """What scripts see: of all that sets a variable, the nearest."""
        return {name: found[-1].value for name, found in self.variable_sources().items()}

    def variable_sources(self) -> dict[str, list[VariableSource]]:
        """Each variable with everything that sets it; the last one holds."""
        depth = self._tree.depth
        nodes = sorted(
            (self._tree.nodes[pk] for pk in self._why), key=lambda n: (depth[n.pk], n.name.casefold())
        )
        found: dict[str, list[VariableSource]] = {}
        for node in nodes:
            for name, value in node.variables.items():
                found.setdefault(name, []).append(VariableSource(value, node))
        for name, value in self.target.variables.items():
            found.setdefault(name, []).append(VariableSource(value, None))
        return found

    def memberships(self) -> list[tuple[str, str]]:
        """Each group by name, with how the target comes to be in it; empty where it was put into it."""
        found = ((self._tree.nodes[pk].name, why) for pk, why in self._why.items())
        return sorted(found, key=lambda each: each[0].casefold())

    def why_in(self, group: str) -> str:
        """How the target comes to be in the group of this name; empty where it was put into it."""
        return next((why for name, why in self.memberships() if name == group), "")


def candidates(targets: Iterable[Target], tree: GroupTree | None = None) -> list[Candidate]:
    """The targets as queries see them; give targets with their groups prefetched."""
    tree = tree or GroupTree.load()
    return [Candidate(target, tree) for target in targets]


def members_of(found: Iterable[Candidate]) -> dict[str, list[Target]]:
    """The targets of each group that has any, by the group's name."""
    members: dict[str, list[Target]] = {}
    for each in found:
        for name in each.groups:
            members.setdefault(name, []).append(each.target)
    return members
