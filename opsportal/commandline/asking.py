"""What people type, read: parameters, and the plan of an earlier run asked for again."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_errors import InvalidRequestError
from aiworkflows.client_types import Run
from opsportal.commandline.exits import UsageError


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
    client: AutomationClient,
    run: int,
    *,
    failed: bool,
    from_step: str | None,
    parameters: Mapping[str, Any],
    reason: str,
) -> Run:
    """Run a finished run once more: a new plan of the same, decided on anew.

    `failed`: only where it is not good. `from_step`: the first step that runs, None for all. `parameters` are
    its secret ones; UsageError where one is missing.
    """
    try:
        return client.rerun(
            run,
            targets="failed" if failed else "all",
            from_step=from_step,
            secrets=parameters or None,
            reason=reason,
        )
    except InvalidRequestError as error:
        if error.code != "parameters.secret_again":
            raise
        raise UsageError(error.detail, "Use --parameters FILE (or `-` for standard input).") from None
