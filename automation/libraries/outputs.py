"""What a script hands on: the `key=value` lines it wrote to the file named by OPSPORTAL_OUTPUT."""

from __future__ import annotations

import re
from typing import NamedTuple

OUTPUTS_LIMIT = 64 * 1024
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Outputs(NamedTuple):
    """The latest value of every name; how many lines were not understood; whether bytes were cut off."""

    values: dict[str, str]
    dropped: int
    cut: bool


def read_outputs(raw: bytes) -> Outputs:
    """Read at most OUTPUTS_LIMIT bytes, cut at the last whole line: half a value would be a wrong one.

    The bytes come from a target and are hostile: names have the form of parameters' names, values are UTF-8
    with replacement. A shell variable cannot hold NUL, so lines with one are dropped. Empty lines are none.
    """
    cut = len(raw) > OUTPUTS_LIMIT
    if cut:
        raw = raw[: raw.rfind(b"\n", 0, OUTPUTS_LIMIT) + 1]
    values: dict[str, str] = {}
    dropped = 0
    for line in raw.split(b"\n"):
        name, equals, value = line.removesuffix(b"\r").decode(errors="replace").partition("=")
        if equals and _NAME.fullmatch(name) and "\0" not in value:
            values[name] = value
        elif line.strip():
            dropped += 1
    return Outputs(values, dropped, cut)
