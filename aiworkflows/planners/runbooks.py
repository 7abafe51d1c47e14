"""The catalogue: one YAML file a runbook, a workflow definition and what a planner needs to find it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

CATALOGUE: Final = Path(__file__).parent.parent / "catalogue"
FEWEST_EXAMPLES: Final = 20


class RunbookError(ValueError):
    """A runbook's file is wrong; the message names the file."""


@dataclass(frozen=True, slots=True)
class Runbook:
    """A catalogue workflow with example requests, usable without a model.

    `verbs`, words or several in a row, point to it, those in `unless` away from it; `needs` are slots without
    which it is hardly meant; `on_windows` is the runbook that does the same where all targets run Windows.
    "software-name" stands for any software, "quoted-text" for what is in quotes.
    """

    name: str
    title: str
    examples: tuple[str, ...]
    verbs: frozenset[str]
    needs: frozenset[str]
    unless: frozenset[str]
    slots: Mapping[str, Mapping[str, str]]
    definition: Mapping[str, Any]
    on_windows: str = ""

    @property
    def summary(self) -> str:
        return str(self.definition.get("summary", ""))

    @property
    def changes(self) -> bool:
        """Does any of its steps change a target?"""
        return any(step.get("effect") != "read" for step in self.definition.get("steps", ()))

    @property
    def parameters(self) -> Mapping[str, Mapping[str, Any]]:
        found: Mapping[str, Mapping[str, Any]] = self.definition.get("parameters", {})
        return found

    def accepts(self, parameter: str, value: object) -> bool:
        """Would the workflow take this text for this parameter, as far as its pattern says?"""
        pattern = self.parameters[parameter].get("pattern")
        return isinstance(value, str) and (pattern is None or re.search(pattern, value) is not None)


def load_runbook(path: Path) -> Runbook:
    """Read one runbook; RunbookError when a part is missing."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        runbook = Runbook(
            name=data["workflow"]["name"],
            title=data["title"],
            examples=tuple(data["examples"]),
            verbs=_words(data["verbs"]),
            needs=_words(data.get("needs", ())),
            unless=_words(data.get("unless", ())),
            slots=data["slots"],
            definition=data["workflow"],
            on_windows=data.get("on_windows", ""),
        )
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise RunbookError(f"{path.name}: {type(error).__name__}: {error}") from error
    if runbook.name != path.stem:
        raise RunbookError(f"{path.name}: the workflow is called {runbook.name}")
    if len(set(runbook.examples)) < FEWEST_EXAMPLES:
        raise RunbookError(f"{path.name}: needs {FEWEST_EXAMPLES} different examples")
    if not set(runbook.slots) <= set(runbook.parameters):
        raise RunbookError(f"{path.name}: a slot is no parameter of the workflow")
    return runbook


def _words(given: Iterable[object]) -> frozenset[str]:
    for each in given:
        # YAML reads a bare `on` as true.
        if not isinstance(each, str):
            raise TypeError(f"{each!r} is no text; quote it")
    return frozenset(map(str, given))


def load_runbooks(folder: Path = CATALOGUE) -> dict[str, Runbook]:
    """Read every runbook of a folder, by name."""
    return {path.stem: load_runbook(path) for path in sorted(folder.glob("*.yaml"))}
