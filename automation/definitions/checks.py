"""Checks between the parts of a definition: names that must differ, names that must exist."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from automation.definitions.conditions import Condition
from automation.definitions.errors import did_you_mean
from automation.definitions.loading import Path
from automation.definitions.names import refused

Finding = tuple[Path, str]
ITEM = "item"
"""What the bodies and the condition of a loop call the item at hand."""


class Referring(NamedTuple):
    """What a step names, and what it is named by."""

    name: str
    condition: Condition | None
    is_loop: bool = False
    values: tuple[str, ...] = ()


def check_references(
    steps: Sequence[Referring], *, parameters: Sequence[str], secrets: Collection[str] = ()
) -> list[Finding]:
    """What is wrong between steps, in order: path and message of each finding.

    References made by literal names are seen; `steps[parameters.x]` is only known when it is evaluated.
    """
    findings: list[Finding] = []
    names = [step.name for step in steps]
    earlier: list[str] = []
    loops = [step.name for step in steps if step.is_loop]
    for index, step in enumerate(steps):
        if step.name in earlier:
            findings.append((("steps", index, "name"), f"the name {step.name!r} belongs to an earlier step"))
        if step.condition is not None:
            own = [*step.values, *([ITEM] if step.is_loop else [])]
            messages = [
                *_of_steps(step.condition, names=names, earlier=earlier, loops=loops),
                *_of_parameters(step.condition, known=[*parameters, *own], secrets=secrets),
            ]
            findings += [(("steps", index, "when"), message) for message in messages]
        earlier.append(step.name)
    return findings


def _of_steps(condition: Condition, *, names: list[str], earlier: list[str], loops: list[str]) -> list[str]:
    messages = []
    for step in condition.steps:
        if step not in names:
            messages.append(f"there is no step {step!r}{did_you_mean(step, earlier)}")
        elif step not in earlier:
            messages.append(f"the step {step!r} does not come before this one")
        elif step in loops:
            messages.append(f"the step {step!r} is a loop, which has no one state, exit code or outputs")
    return messages


def _of_parameters(condition: Condition, *, known: list[str], secrets: Collection[str]) -> list[str]:
    messages = []
    for parameter in condition.parameters:
        if parameter in secrets:
            messages.append(f"the parameter {parameter!r} is a secret, which no condition may look at")
        elif parameter not in known:
            messages.append(f"there is no parameter {parameter!r}{did_you_mean(parameter, known)}")
    return messages


def check_values(
    steps: Sequence[Referring],
    loops: Sequence[str | tuple[str, ...] | None],
    parameters: Sequence[str],
    lists: Sequence[str],
) -> list[Finding]:
    """Values and loops of steps: names that parameters have already, lists that are not there."""
    findings: list[Finding] = []
    for index, (step, loop) in enumerate(zip(steps, loops, strict=True)):
        for name in step.values:
            if name in parameters:
                message = f"{name!r} is the name of a parameter already"
                findings.append((("steps", index, "values", name), message))
        path: Path = ("steps", index, "for_each")
        if loop is not None and ITEM in parameters:
            findings.append((path, "the parameter 'item' is in its way; give that another name"))
        if isinstance(loop, str) and loop not in lists:
            what = "is no list" if loop in parameters else "does not exist"
            findings.append((path, f"the parameter {loop!r} {what}{did_you_mean(loop, lists)}"))
    return findings


def check_derived(parameters: Collection[str], derived: Sequence[str]) -> list[Finding]:
    """Names that come with target parameters: free, and names at all."""
    findings: list[Finding] = []
    for name in derived:
        if name in parameters:
            findings.append((("parameters", name), "comes with a parameter of type target already"))
        elif len(name) > 64 or refused(name):
            findings.append((("parameters",), f"{name[:64]!r}, which comes with a target, cannot be a name"))
    return findings
