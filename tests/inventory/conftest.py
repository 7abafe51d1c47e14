"""An inventory in a few words."""

from __future__ import annotations

import re
from typing import Any

from automation.models import Group, Target
from tests.api.conftest import clients as clients
from tests.api.conftest import people as people


def group(name: str, *parents: str, **fields: Any) -> Group:
    made = Group.objects.create(name=name, **fields)
    made.parents.set(Group.objects.filter(name__in=parents))
    return made


def target(name: str, *groups: str, **fields: Any) -> Target:
    word = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")
    made = Target.objects.create(name=name, address=f"{word}.example.org", **fields)
    made.groups.set(Group.objects.filter(name__in=groups))
    return made
