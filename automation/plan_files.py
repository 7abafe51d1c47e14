"""Which stored files a plan puts on targets: chosen once, when it is frozen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from automation.definitions.errors import DefinitionError, Finding, did_you_mean
from automation.definitions.expanding import origins
from automation.definitions.parameter_types import Value
from automation.definitions.schema import Workflow
from automation.models import StoredFile
from automation.models.files import StoredFileQuerySet


def chosen_files(workflow: Workflow, visible: StoredFileQuerySet) -> dict[str, StoredFile]:
    """The newest file of each name that the workflow's uploads want.

    Raises DefinitionError that names every step whose file is not there.
    """
    found: dict[str, StoredFile] = {}
    missing: list[Finding] = []
    for index, step in enumerate(workflow.steps):
        if step.upload is None or step.upload.file in found:
            continue
        file = visible.named(step.upload.file)
        if file is None:
            known = list(visible.kept_for_steps().values_list("name", flat=True).distinct()[:500])
            near = did_you_mean(step.upload.file, known)
            message = f"there is no file {step.upload.file!r} in the portal{near[:200]}"
            missing.append(Finding(line=None, path=f"steps[{index}].upload.file", message=message))
        else:
            found[step.upload.file] = file
    if missing:
        raise DefinitionError(missing)
    return found


def planned_files(
    workflow: Workflow, parameters: Mapping[str, Value], files: Mapping[str, StoredFile]
) -> dict[str, dict[str, Any]]:
    """What the plan says of the file of each of its steps, by the step's place (text, from 0)."""
    return {
        str(place): told(files[step.upload.file])
        for place, step in enumerate(origins(workflow, parameters))
        if step.upload is not None
    }


def planned_downloads(workflow: Workflow, parameters: Mapping[str, Value]) -> dict[str, dict[str, Any]]:
    """What each step of the plan that downloads a file takes, by the step's place (text, from 0)."""
    return {
        str(place): step.download.model_dump()
        for place, step in enumerate(origins(workflow, parameters))
        if step.download is not None
    }


def told(file: StoredFile) -> dict[str, Any]:
    return {"file": file.pk, "name": file.name, "size": file.size, "sha256": file.sha256}
