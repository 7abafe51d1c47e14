"""A PowerShell script and its values, checked and packed as the data that the bootstrap hands over."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from automation.libraries.windows.errors import ScriptInvalid

MAX_SCRIPT = 16 * 1024 * 1024
"""Bytes of UTF-8."""
PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")
# Variables that PowerShell or the guard itself lives by.
_TAKEN = re.compile(r"(?i)order|args|input|this|host|pid|home|true|false|null|error|opsportal.*|.*preference")
BOM = "\ufeff"
RUN = {"OPSPORTAL_PHASE": "run"}

Values = Mapping[str, Any]


def pack_script(
    script: str | bytes, parameters: Values | None = None, *, environment: Mapping[str, str] | None = None
) -> bytes:
    """What an envelope's order carries as its payload: script, parameters and environment as JSON.

    Without an `environment` the script is told that it is in the phase `run`. A byte order mark at the
    beginning is dropped; line ends stay as they are. Raises `ScriptInvalid`.
    """
    text = _text(script)
    values = dict(parameters or {})
    for name, value in values.items():
        _check_parameter(name, value)
    packed = {"script": text, "parameters": values, "environment": dict(environment or RUN)}
    try:
        return json.dumps(packed, ensure_ascii=True, allow_nan=False).encode("ascii")
    except (TypeError, ValueError):
        raise ScriptInvalid("A parameter holds a value that JSON cannot carry") from None


def _text(script: str | bytes) -> str:
    try:
        text = script.decode("utf-8") if isinstance(script, bytes) else script
        size = len(text.encode("utf-8"))
    except UnicodeError:
        raise ScriptInvalid("The script is not UTF-8 text") from None
    if "\0" in text:
        raise ScriptInvalid("The script holds a NUL character", cause_hint="It may be saved as UTF-16")
    if size > MAX_SCRIPT:
        raise ScriptInvalid(f"The script is larger than {MAX_SCRIPT // 1024**2} MiB")
    return text.removeprefix(BOM)


def is_taken(name: str) -> bool:
    """Whether PowerShell or the guard lives by a variable of this name, so that no parameter can have it."""
    return _TAKEN.fullmatch(name) is not None


def _check_parameter(name: str, value: object) -> None:
    if not PARAMETER_NAME.fullmatch(name) or is_taken(name):
        raise ScriptInvalid(f"{name[:70]!r} cannot be the name of a parameter")
    if isinstance(value, str) and "\0" in value:
        raise ScriptInvalid(f"The value of {name} holds a NUL character")
