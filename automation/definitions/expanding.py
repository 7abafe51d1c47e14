"""From the workflow that people write to the one a run does: loops unrolled, kinds turned into scripts.

What comes out is a workflow of plain steps, and it alone stands in the plan. It depends on parameters only,
so every step exists before anything has run.
"""

from collections.abc import Mapping
from typing import Any

from automation.definitions.checks import ITEM
from automation.definitions.errors import DefinitionError, Finding
from automation.definitions.file_scripts import fetching_script, file_scripts
from automation.definitions.parameter_types import Value
from automation.definitions.schema import MAX_STEPS, Bodies, Step, Workflow
from automation.definitions.step_kinds import REBOOT_BASH, REBOOT_POWERSHELL, Download, Upload
from automation.definitions.windows_file_scripts import windows_fetching_script, windows_file_scripts

MAX_STEP_NAME = 100


def expand(
    workflow: Workflow, parameters: Mapping[str, Value], *, hashes: Mapping[str, str] | None = None
) -> Workflow:
    """The workflow with a step for each item of each loop, named `step [item]`, and only `run` bodies.

    `hashes` has the SHA-256 of each file that the workflow names.

    A loop over nothing leaves no step. Raises DefinitionError when that leaves none at all, or more than
    MAX_STEPS.
    """
    taken = {step.name for step in workflow.steps}
    steps: list[Step] = []
    for index, step in enumerate(workflow.steps):
        plain = _as_script(step, hashes or {})
        items = _items(step, parameters)
        if len(steps) + (1 if items is None else len(items)) > MAX_STEPS:
            raise _refusal(index, f"unrolled, the workflow has more than {MAX_STEPS} steps")
        if items is None:
            steps.append(plain)
            continue
        for item in items:
            name = _name(step.name, item, taken)
            taken.add(name)
            steps.append(_changed(plain, name=name, for_each=None, values={**step.values, ITEM: item}))
    if not steps:
        raise _refusal(0, "all its loops are over empty lists, so there is nothing to do")
    return workflow.model_copy(update={"steps": tuple(steps)})


def origins(workflow: Workflow, parameters: Mapping[str, Value]) -> list[Step]:
    """For each step that `expand` gives, the step it was made of."""
    counted = [(step, _items(step, parameters)) for step in workflow.steps]
    return [step for step, items in counted for _ in ([""] if items is None else items)]


def left_out(workflow: Workflow, parameters: Mapping[str, Value]) -> list[str]:
    """Names of the loops that are over nothing."""
    return [step.name for step in workflow.steps if _items(step, parameters) == []]


def _items(step: Step, parameters: Mapping[str, Value]) -> list[str] | None:
    if isinstance(step.for_each, str):
        given = parameters.get(step.for_each)
        return list(given) if isinstance(given, list) else []
    return None if step.for_each is None else list(step.for_each)


def _as_script(step: Step, hashes: Mapping[str, str]) -> Step:
    if step.upload is not None:
        return _changed(step, upload=None, **_putting(step.upload, hashes[step.upload.file]))
    if step.download is not None:
        return _changed(step, download=None, run=_fetching(step.download))
    if step.reboot is not None:
        restart = Bodies(bash=REBOOT_BASH, powershell=REBOOT_POWERSHELL)
        return _changed(step, run=restart, reboot=None, reboots=True, timeout=step.reboot.timeout)
    return step


def _putting(upload: Upload, sha256: str) -> dict[str, Bodies]:
    """The bodies for each platform that the step names a place for."""
    bash = file_scripts(upload, sha256=sha256) if upload.to else {}
    powershell = windows_file_scripts(upload, sha256=sha256) if upload.to_windows else {}
    kinds = bash.keys() | powershell.keys()
    return {kind: Bodies(bash=bash.get(kind), powershell=powershell.get(kind)) for kind in kinds}


def _fetching(download: Download) -> Bodies:
    return Bodies(
        bash=fetching_script(download) if download.source else None,
        powershell=windows_fetching_script(download) if download.source_windows else None,
    )


def _changed(step: Step, **fields: Any) -> Step:
    return step.model_copy(update=fields)


def _name(step: str, item: str, taken: set[str]) -> str:
    """A name for people that no other step has."""
    shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in item)
    number = 1
    while True:
        tail = "]" if number == 1 else f"] ({number})"
        room = MAX_STEP_NAME - len(tail) - len(" [")
        head = step[: max(room // 2, room - len(shown))]
        name = f"{head} [{_cut(shown, room - len(head))}{tail}"
        if name not in taken:
            return name
        number += 1


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _refusal(index: int, message: str) -> DefinitionError:
    return DefinitionError([Finding(line=None, path=f"steps[{index}].for_each", message=message)])
