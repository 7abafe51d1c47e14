"""What people type, read: parameters, workflow files, and the plan of an earlier run asked for again."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_types import Run, StepResult
from opsportal.commandline.exits import UsageError

MAX_QUERY: Final = 2000
GOOD: Final = frozenset({"succeeded", "skipped"})


def read_parameters(given: Iterable[str], file: Path | None) -> dict[str, Any]:
    """The parameters of a YAML or JSON file (`-`: standard input), and over them those of the command.

    `name=value` is a text, `name:=value` is JSON. Raises UsageError.
    """
    found: dict[str, Any] = {}
    if file is not None:
        loaded = _yaml_of(file, "parameters")
        found |= {str(key): value for key, value in loaded.items()}
    for text in given:
        name, sign, value = text.partition("=")
        typed = name.endswith(":")
        if not sign or not name.removesuffix(":"):
            # The text itself is not repeated: it may be a secret that was put in the wrong place.
            raise UsageError("A parameter is not name=value.", "Write -p name=value, or -p name:=JSON.")
        try:
            found[name.removesuffix(":")] = json.loads(value) if typed else value
        except ValueError:
            cause = f"The value of the parameter {name.removesuffix(':')} is not JSON."
            raise UsageError(
                cause, f"Write {name}=3, {name}=true or {name}='[\"a\"]'; a text is name=value."
            ) from None
    return found


def read_workflow(text: str) -> str | dict[str, Any]:
    """A workflow's name, or the definition in that file, if it ends in .yaml, .yml or .json."""
    if Path(text).suffix not in {".yaml", ".yml", ".json"}:
        return text
    return _yaml_of(Path(text), "workflow")


def _yaml_of(path: Path, what: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text("utf-8")
        found = yaml.safe_load(text)
    except OSError as error:
        raise UsageError(
            f"The {what} file {path} cannot be read: {error.strerror}.", "Check its name."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        # Only the place: the lines may hold secrets.
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UsageError(f"{path}{where} is neither YAML nor JSON.", "Correct the file.") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path} holds no names with values.", f"It must be a {what} as an object.")
    return found


def again(
    client: AutomationClient, run: Run, *, failed: bool, parameters: Mapping[str, Any], reason: str
) -> Run:
    """Submit a run's workflow, version and parameters once more: a new plan, decided on anew.

    `failed`: only for the targets that are not good. Raises UsageError where it cannot be asked for.
    """
    header, inputs = run.raw["plan"]["header"], run.raw["inputs"]
    wanted = set(inputs["secret_parameters"]) - parameters.keys()
    if wanted:
        raise UsageError(
            f"The run had secret parameters, which nobody can read: {', '.join(sorted(wanted))}.",
            "Give them again with --parameters FILE (or `-` for standard input).",
        )
    named = run.raw.get("version") is not None
    return client.submit(
        run.raw["workflow"] if named else header["workflow"],
        version=run.raw["version"] if named else None,
        targets=failed_targets(client.results(run.id)) if failed else inputs["query"],
        parameters={**inputs["parameters"], **parameters},
        dry_run=bool(run.raw.get("dry_run")),
        include_maintenance=bool(header.get("include_maintenance")),
        reason=reason or f"Run {run.id} again",
    )


def failed_targets(results: Iterable[StepResult]) -> str:
    """A target query for those with a step that is not good. UsageError when there is none, or too many."""
    names = sorted({row.target for row in results if row.state not in GOOD})
    if not names:
        raise UsageError("No target of that run failed.", "Leave out --failed to run it again everywhere.")
    query = " or ".join(f"name:{quoted(name)}" for name in names)
    if len(query) > MAX_QUERY:
        cause = f"{len(names)} targets failed: too many to name in one target query."
        raise UsageError(cause, "Give a group of them a run of its own, with `run` and --targets.")
    return query


def quoted(name: str) -> str:
    """A name in a target query, taken as it is."""
    inside = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inside}"'
