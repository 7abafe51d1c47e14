"""A workflow from one of its steps on, for a run that goes on where an earlier one ended."""

from automation.definitions.errors import DefinitionError, Finding, did_you_mean
from automation.definitions.schema import Step, Workflow


def starting_at(workflow: Workflow, name: str) -> Workflow:
    """The workflow without the steps before the one of this name; equal when it is the first.

    Raises DefinitionError when there is no such step, and when a later condition looks at a step that would
    then not have run: its answer would be made up.
    """
    names = [step.name for step in workflow.steps]
    if name not in names:
        raise _refusal(f"there is no step {name!r}{did_you_mean(name, names)}")
    index = names.index(name)
    kept = workflow.steps[index:]
    for step in kept if index else ():
        if lost := _looks_back(step, names[:index]):
            raise _refusal(f"the condition of step {step.name!r} looks at {lost}; start there or before it")
    return workflow.model_copy(update={"steps": kept})


def _looks_back(step: Step, before: list[str]) -> str:
    if step.condition is None:
        return ""
    if not step.condition.names_its_steps:
        return "steps whose names only a run knows"
    lost = [repr(name) for name in step.condition.steps if name in before]
    return f"{' and '.join(lost)}, which would not run" if lost else ""


def _refusal(message: str) -> DefinitionError:
    return DefinitionError([Finding(line=None, path="from_step", message=message)], origin="run again")
