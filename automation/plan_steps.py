"""The part of a plan that is the same for all targets: plain steps, their values, and their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from automation.definitions.expanding import expand, left_out
from automation.definitions.schema import Workflow
from automation.models import StoredFile, Target
from automation.models.files import StoredFileQuerySet
from automation.plan_files import chosen_files, planned_downloads, planned_files
from automation.plan_parameters import FrozenParameters, freeze_parameters


@dataclass(frozen=True, slots=True)
class PlannedSteps:
    """`workflow` has only steps with scripts; `told` is what the plan's header says beside it."""

    workflow: Workflow
    given: FrozenParameters
    told: dict[str, Any]


def plan_steps(
    workflow: Workflow,
    parameters: Mapping[str, object],
    *,
    visible: Sequence[Target],
    files: StoredFileQuerySet | None,
) -> PlannedSteps:
    """Loops unrolled, files chosen among `files`, parameters typed.

    Raises ParameterError, DefinitionError.
    """
    given = freeze_parameters(workflow, parameters, visible=visible)
    stored = chosen_files(workflow, files if files is not None else StoredFile.objects.none())
    hashes = {name: file.sha256 for name, file in stored.items()}
    told = {
        "parameters": given.values,
        "secrets": given.digests(),
        "steps_left_out": left_out(workflow, given.values),
        "files": planned_files(workflow, given.values, stored),
        "downloads": planned_downloads(workflow, given.values),
    }
    return PlannedSteps(expand(workflow, given.values, hashes=hashes), given, told)
