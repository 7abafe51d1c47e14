"""Command lines: how WinRM joins them, how cmd.exe and powershell.exe take them apart."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opsportal.simulated_windows import faults

CMD_LIMIT = 8191
"""Characters that cmd.exe takes as one line."""
_WORD = re.compile(r'(?:"[^"]*"|[^\s"])+')
_VARIABLE = re.compile(r"%([^%]+)%")
_POWERSHELL = re.compile(
    r'^"?(?:[a-z]:\\(?:[^"]*\\)?)?(?:powershell|pwsh)(?:\.exe)?"?(?:\s+|$)', re.IGNORECASE
)
_WITH_VALUE = ("executionpolicy", "outputformat", "inputformat", "windowstyle", "version", "psconsolefile")
_WITHOUT_VALUE = ("noprofile", "noninteractive", "nologo", "noexit", "sta", "mta")


@dataclass(frozen=True)
class Line:
    """A whole command line, and whether cmd.exe reads it first."""

    text: str
    by_cmd: bool


def command_line(name: str, arguments: Sequence[str], *, skip: bool) -> Line:
    """With `skip` no cmd.exe looks for the program: it must be a whole path. Raises WsmanFault."""
    if skip and not re.match(r'^"?[a-zA-Z]:\\', name):
        raise faults.no_such_program()
    return Line(" ".join([name, *arguments]), by_cmd=not skip)


@dataclass(frozen=True)
class PowerShellCall:
    """What powershell.exe was asked to do: a script, or to read one from stdin."""

    script: str
    from_input: bool
    encoded: bool
    """By -EncodedCommand: then its other streams go to stderr as CLIXML."""


class NotEmulated(Exception):
    """The simulated target does not play this. The message says what, in one sentence."""


def powershell_call(line: str) -> PowerShellCall | None:
    """None for another program. Raises NotEmulated."""
    found = _POWERSHELL.match(line)
    if found is None:
        return None
    rest = line[found.end() :]
    while word := _WORD.match(rest):
        flag = word.group().lower().lstrip("-/") if word.group()[0] in "-/" else None
        after = rest[word.end() :].strip()
        if flag is None:
            return PowerShellCall(_unquoted(rest), from_input=False, encoded=False)
        if word.group() == "-":
            return PowerShellCall("", from_input=True, encoded=False)
        if "command".startswith(flag):
            return PowerShellCall("" if after == "-" else _unquoted(after), after == "-", encoded=False)
        if flag in ("e", "ec") or "encodedcommand".startswith(flag):
            return PowerShellCall(_decoded(after), from_input=False, encoded=True)
        rest = after
        if any(name.startswith(flag) for name in _WITH_VALUE):
            value = _WORD.match(after)
            rest = after[value.end() :].strip() if value else ""
        elif not any(name.startswith(flag) for name in _WITHOUT_VALUE):
            raise NotEmulated(f"powershell.exe -{flag}")
    return PowerShellCall("", from_input=True, encoded=False)


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1].replace('\\"', ""):
        return text[1:-1].replace('\\"', '"')
    return text


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text.split()[0], validate=True).decode("utf-16-le")
    except (binascii.Error, UnicodeDecodeError, IndexError) as error:
        raise NotEmulated("an -EncodedCommand that is no base64 of UTF-16") from error


def expand(text: str, environment: Mapping[str, str]) -> str:
    """`%NAME%` as cmd.exe expands it: an unknown name stays."""
    folded = {name.upper(): value for name, value in environment.items()}
    return _VARIABLE.sub(lambda found: folded.get(found.group(1).upper(), found.group()), text)


def cmd_parts(text: str) -> list[tuple[str, str]]:
    """A line as cmd.exe chains it: `[("", first), ("&&", second), ...]`, quotes respected."""
    parts: list[tuple[str, str]] = []
    joint, start, quoted, at = "", 0, False, 0
    while at < len(text):
        if text[at] == '"':
            quoted = not quoted
        found = next((mark for mark in ("&&", "||", "&") if text.startswith(mark, at)), "")
        if found and not quoted and text[at - 1 : at] != ">":
            parts.append((joint, text[start:at]))
            joint, at = found, at + len(found)
            start = at
        else:
            at += 1
    return [*parts, (joint, text[start:])]
