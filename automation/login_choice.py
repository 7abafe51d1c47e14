"""Which credential a target is reached with, and why: the one place that decides.

A target's own beats that of its groups, which beats its environment's default. Of several groups the first
by name counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from automation.models import EnvironmentDefault, Group, Target
from credentials.models import Credential

Key = TypeVar("Key")
NONE = "neither the target, nor a group of it, nor its environment has one"


@dataclass(frozen=True, slots=True)
class Choice(Generic[Key]):
    """The credential, if there is one, and in words where it comes from."""

    credential: Key | None
    why: str


def choose(
    own: Key | None, groups: Sequence[tuple[str, Key]], *, environment: str, default: Key | None
) -> Choice[Key]:
    """The decision; `groups` are names and credentials of the target's groups that have one."""
    if own is not None:
        over = ", ".join(name for name, _ in sorted(groups, key=_by_name))
        return Choice(own, "the target's own" + (f", which beats that of group {over}" if over else ""))
    if groups:
        (name, credential), *others = sorted(groups, key=_by_name)
        also = ", ".join(other for other, found in others if found != credential)
        return Choice(
            credential, f"of group {name}" + (f", which comes before {also} by name" if also else "")
        )
    if default is not None:
        return Choice(default, f"the default of environment {environment}")
    return Choice(None, NONE)


def _by_name(group: tuple[str, object]) -> str:
    return group[0].lower()


class Choices:
    """The choices for many targets that were read `with_plan_parts`; one query for the defaults."""

    def __init__(self) -> None:
        rows = EnvironmentDefault.objects.select_related("credential")
        self._defaults = {row.environment.lower(): row.credential for row in rows}

    def of(self, target: Target) -> Choice[Credential]:
        return self.of_these(
            own=target.credential, groups=target.groups.all(), environment=target.environment
        )

    def of_these(
        self, *, own: Credential | None, groups: Iterable[Group], environment: str
    ) -> Choice[Credential]:
        """The same for a target that has these, or would have them."""
        found = [(group.name, group.credential) for group in groups if group.credential]
        default = self._defaults.get(environment.lower())
        return choose(own, found, environment=environment, default=default)


def credentials_now(rows: Iterable[tuple[int, str, int | None]]) -> dict[int, Credential | None]:
    """Today's credential of each target, given as its id, environment and own credential's id.

    In a fixed number of queries, with plain columns: most of a run's targets share few credentials.
    """
    rows = list(rows)
    groups: dict[int, list[tuple[str, int]]] = defaultdict(list)
    members = Group.targets.through.objects.filter(
        target__in=[pk for pk, _, _ in rows], group__credential__isnull=False
    )
    for pk, name, credential in members.values_list("target_id", "group__name", "group__credential_id"):
        groups[pk].append((name, credential))
    defaults = {
        environment.lower(): credential
        for environment, credential in EnvironmentDefault.objects.values_list("environment", "credential_id")
    }
    chosen = {
        pk: choose(own, groups[pk], environment=env, default=defaults.get(env.lower())).credential
        for pk, env, own in rows
    }
    known = Credential.objects.in_bulk({pk for pk in chosen.values() if pk})
    return {pk: known.get(credential or 0) for pk, credential in chosen.items()}


def uses_of(credential: Credential, *, shown: int = 50) -> dict[str, list[str]]:
    """Names of the targets, groups and environments that name this credential themselves."""
    return {
        "targets": list(credential.targets.order_by("name").values_list("name", flat=True)[:shown]),
        "groups": list(credential.groups.order_by("name").values_list("name", flat=True)[:shown]),
        "environments": list(credential.environments.values_list("environment", flat=True)[:shown]),
    }


def is_used(credential: Credential) -> bool:
    """Whether a target, a group or an environment names it."""
    return any(rows.exists() for rows in (credential.targets, credential.groups, credential.environments))
