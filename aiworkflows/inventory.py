"""The inventory as planners see it, read through the automation client as the asking principal."""

from collections.abc import Iterable
from dataclasses import dataclass

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_types import Target
from aiworkflows.planners.naming import term


@dataclass(frozen=True, slots=True)
class Inventory:
    """Names that exist and that the principal may see, at one moment."""

    groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    windows: frozenset[str] = frozenset()
    """Terms of a target query that name Windows targets alone."""


def read_inventory(client: AutomationClient) -> Inventory:
    """Read all names. Raises AutomationError."""
    targets = list(client.targets())
    return Inventory(
        groups=tuple(group.name for group in client.groups()),
        tags=_sorted(tag for target in targets for tag in target.tags),
        targets=tuple(target.name for target in targets),
        environments=_sorted(target.environment for target in targets),
        platforms=_sorted(target.platform for target in targets),
        windows=_of_windows_alone(targets),
    )


def _of_windows_alone(targets: Iterable[Target]) -> frozenset[str]:
    found: dict[str, set[str]] = {}
    for target in targets:
        named = [("name", target.name), ("env", target.environment), ("os", target.platform)]
        named += [("group", name) for name in target.groups] + [("tag", name) for name in target.tags]
        for field, name in named:
            if name:
                found.setdefault(term(field, name), set()).add(target.platform)
    return frozenset(each for each, platforms in found.items() if platforms == {"windows"})


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name}))
