"""Checks between the parts of a definition: names that must differ, names that must exist."""

from collections.abc import Sequence

from automation.definitions.conditions import Condition
from automation.definitions.errors import did_you_mean
from automation.definitions.loading import Path

Reference = tuple[Path, str]


def check_references(
    steps: Sequence[tuple[str, Condition | None]], *, parameters: Sequence[str]
) -> list[Reference]:
    """What is wrong between steps (name and condition, in order): path and message of each finding.

    References made by literal names are seen; `steps[parameters.x]` is only known when it is evaluated.
    """
    findings: list[Reference] = []
    names = [name for name, _ in steps]
    earlier: list[str] = []
    for index, (name, condition) in enumerate(steps):
        if name in earlier:
            findings.append((("steps", index, "name"), f"the name {name!r} belongs to an earlier step"))
        if condition is not None:
            messages = _of_condition(condition, names=names, earlier=earlier, parameters=parameters)
            findings += [(("steps", index, "when"), message) for message in messages]
        earlier.append(name)
    return findings


def _of_condition(
    condition: Condition, *, names: list[str], earlier: list[str], parameters: Sequence[str]
) -> list[str]:
    messages = []
    for step in condition.steps:
        if step not in names:
            messages.append(f"there is no step {step!r}{did_you_mean(step, earlier)}")
        elif step not in earlier:
            messages.append(f"the step {step!r} does not come before this one")
    for parameter in condition.parameters:
        if parameter not in parameters:
            messages.append(f"there is no parameter {parameter!r}{did_you_mean(parameter, parameters)}")
    return messages
