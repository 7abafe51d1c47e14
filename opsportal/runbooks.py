"""The catalogue's runbooks as workflows, so that a new portal has something to run and to learn from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from aiworkflows.planners.runbooks import load_runbooks
from automation.definitions.schema import load_workflow
from automation.models import Workflow, WorkflowVersion

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


@dataclass(frozen=True, slots=True)
class Published:
    """Names of workflows: published now, left as they are because they differ, and the same already."""

    new: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)


def publish_runbooks(*, author: AbstractBaseUser, update: bool = False) -> Published:
    """Publish each runbook as a workflow of its name, where there is none of that name yet.

    A workflow whose newest version differs from the runbook is somebody's own work, or an older release's: it
    gets a new version only with `update`.
    """
    published = Published()
    newest = {each.workflow.name: each.definition for each in WorkflowVersion.objects.newest()}
    for runbook in load_runbooks().values():
        name, text, definition = _written(dict(runbook.definition))
        if newest.get(name) == definition:
            published.same.append(name)
        elif name in newest and not update:
            published.differing.append(name)
        else:
            Workflow.objects.publish(definition, text=text, author=author)
            published.new.append(name)
    return published


def _written(definition: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    text = yaml.safe_dump(definition, sort_keys=False, allow_unicode=True)
    canonical = load_workflow(text).canonical()
    return canonical["name"], text, canonical
