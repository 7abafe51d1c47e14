"""The inventory as planners see it, read through the automation client as the asking principal."""

from collections.abc import Iterable
from dataclasses import dataclass

from aiworkflows.automation_client import AutomationClient


@dataclass(frozen=True, slots=True)
class Inventory:
    """Names that exist and that the principal may see, at one moment."""

    groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()


def read_inventory(client: AutomationClient) -> Inventory:
    """Read all names. Raises AutomationError."""
    targets = list(client.targets())
    return Inventory(
        groups=tuple(group.name for group in client.groups()),
        tags=_sorted(tag for target in targets for tag in target.tags),
        targets=tuple(target.name for target in targets),
        environments=_sorted(target.environment for target in targets),
        platforms=_sorted(target.platform for target in targets),
    )


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name}))
