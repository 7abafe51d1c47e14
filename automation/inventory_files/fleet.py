"""An inventory as it is written: targets and groups with what formats may tell of them, and no secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from automation.belonging import Candidate, GroupTree, candidates
from automation.definitions.query import Query
from automation.login_choice import Choices
from automation.models import Group, Target


@dataclass(frozen=True, slots=True)
class Jump:
    """A bastion on the way to a target, and how ssh names it where it knows no alias of it."""

    name: str
    place: str


@dataclass(frozen=True, slots=True)
class FleetTarget:
    """One target; `direct` are the groups it is in without going through another one, `jumps` the bastions
    on the way to it in the order in which they are gone through."""

    name: str
    address: str
    port: int
    login: str
    is_windows: bool
    transport: str
    winrm: dict[str, Any]
    environment: str
    zone: str
    enabled: bool
    tags: tuple[str, ...]
    groups: tuple[str, ...]
    direct: tuple[str, ...]
    jumps: tuple[Jump, ...]
    variables: dict[str, Any]
    all_variables: dict[str, Any]
    row: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class FleetGroup:
    """One group, with the groups inside it."""

    name: str
    parents: tuple[str, ...]
    children: tuple[str, ...]
    variables: dict[str, Any]
    row: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Fleet:
    """What is written, in order of name."""

    targets: tuple[FleetTarget, ...]
    groups: tuple[FleetGroup, ...]


def fleet_of(targets: Iterable[Target], query: Query | None = None) -> Fleet:
    """Those of `targets` that the query names, and the groups they are in; without a query, everything."""
    groups = list(Group.objects.with_nesting())
    tree = GroupTree.load()
    found = [each for each in candidates(targets, tree) if query is None or query.matches(each)]
    named = {name for each in found for name in each.groups}
    chosen = [group for group in groups if query is None or group.name in named]
    names = {group.name for group in chosen}
    choices = Choices()
    bastions = Target.objects.bastions_of(each.target for each in found)
    return Fleet(
        targets=tuple(sorted((_target(each, choices, bastions) for each in found), key=_name)),
        groups=tuple(sorted((_group(group, names) for group in chosen), key=_name)),
    )


def _name(each: FleetTarget | FleetGroup) -> tuple[str, str]:
    return each.name.casefold(), each.name


def _jumps(target: Target, choices: Choices, bastions: Mapping[int, Target]) -> tuple[Jump, ...]:
    try:
        way = target.way(bastions)
    except ValueError:  # a circle, by which nobody can go
        return ()
    return tuple(Jump(hop.name, _place(hop, choices)) for hop in reversed(way))


def _place(hop: Target, choices: Choices) -> str:
    credential = choices.of(hop).credential
    login = f"{credential.username}@" if credential else ""
    address = f"[{hop.address}]" if ":" in hop.address else hop.address
    return f"{login}{address}:{hop.port}"


def _target(candidate: Candidate, choices: Choices, bastions: Mapping[int, Target]) -> FleetTarget:
    target = candidate.target
    credential = choices.of(target).credential
    memberships = candidate.memberships()
    return FleetTarget(
        name=target.name,
        address=target.address,
        port=target.port,
        login=credential.username if credential else "",
        is_windows=target.platform == Target.Platform.WINDOWS,
        transport=target.transport,
        winrm=target.winrm,
        environment=target.environment,
        zone=target.zone,
        enabled=target.enabled,
        tags=tuple(target.tags),
        groups=candidate.groups,
        direct=tuple(name for name, why in memberships if not why.startswith("through ")),
        jumps=_jumps(target, choices, bastions),
        variables=target.variables,
        all_variables=candidate.variables,
        row=_target_row(target),
    )


def _target_row(target: Target) -> dict[str, Any]:
    """What an import makes the same target of again; how we log in by name alone."""
    until = target.maintenance_until
    found: dict[str, Any] = {
        "name": target.name,
        "address": target.address,
        "port": target.port,
        "platform": target.platform,
        "transport": target.transport,
        "winrm": target.winrm,
        "credential": target.credential.name if target.credential else "",
        "groups": sorted((group.name for group in target.groups.all()), key=str.casefold),
        "tags": target.tags,
        "environment": target.environment,
        "zone": target.zone,
        "bastion": target.bastion.name if target.bastion else "",
        "enabled": target.enabled,
        "maintenance": target.maintenance,
        "maintenance_until": until.isoformat() if until else "",
        "maintenance_reason": target.maintenance_reason,
        "variables": target.variables,
        "host_key": target.trusted_keys(),
    }
    return {key: value for key, value in found.items() if value not in ("", [], {})}


def _group(group: Group, names: set[str]) -> FleetGroup:
    parents = tuple(sorted(parent.name for parent in group.parents.all() if parent.name in names))
    row: dict[str, Any] = {
        "name": group.name,
        "description": group.description,
        "parents": list(parents),
        "query": group.query,
        "variables": group.variables,
    }
    return FleetGroup(
        name=group.name,
        parents=parents,
        children=tuple(sorted(child.name for child in group.children.all() if child.name in names)),
        variables=group.variables,
        row={key: value for key, value in row.items() if value not in ("", [], {})},
    )


def aliases(
    names: Iterable[str], plain: Callable[[str], str], *, taken: Iterable[str] = ()
) -> dict[str, str]:
    """A word for each name that a format can hold, by `plain`; two names never share one."""
    used = {each.casefold() for each in taken}
    found: dict[str, str] = {}
    for name in names:
        word = base = plain(name) or "_"
        number = 2
        while word.casefold() in used:
            word = f"{base}_{number}"
            number += 1
        used.add(word.casefold())
        found[name] = word
    return found
