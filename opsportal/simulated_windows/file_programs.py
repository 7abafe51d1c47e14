"""The product's own scripts for files, as the simulated target plays them.

As with the bootstrap, a script is recognised by its first line, and what it promises is played: a file
staged by its hash, put in place, compared, brought back, or sent. Whether the PowerShell text keeps the
promise only a real Windows can tell.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable
from typing import Final

from opsportal.simulated_windows.console import Console
from opsportal.simulated_windows.machine import Machine
from opsportal.simulated_windows.running import Command

STAGING: Final = "# OpsPortal staging 1"
FETCHED: Final = 49_152  # bytes of a file in a line
_MARK: Final = re.compile(r"# OpsPortal (upload run|upload check|upload undo|download) 1\n")
_VALUE: Final = re.compile(r"(?m)^\$(to|sha256|from|limit) = (?:'(.*)'|(\d+))$")
_DOUBLED: Final = re.compile("(['\u2018-\u201b])\\1")  # the four that PowerShell takes for single quotes

Play = Callable[[Console, Machine], int]


def is_staging(text: str) -> bool:
    return text.startswith(STAGING)


def play_staging(command: Command, machine: Machine) -> int:
    """Takes a file in lines of base64, or says whether it is there."""
    head, *lines = command.read_input().decode("ascii", "replace").splitlines()
    wanted = json.loads(head)
    place = f"{wanted['spool']}\\files\\{wanted['sha256']}"
    word = "NOWHERE"
    if machine.has_folder(wanted["spool"]):
        if wanted["mode"] == "take":
            _take(machine, place, lines, wanted["sha256"])
        word = "AT" if _hash(machine.read_bytes(place)) == wanted["sha256"] else "NEED"
    command.write("stdout", b"\x1e" + f"{wanted['nonce']} {word}\n".encode())
    return 0


def _take(machine: Machine, place: str, lines: list[str], sha256: str) -> None:
    try:
        data = b"".join(base64.b64decode(line, validate=True) for line in lines)
    except binascii.Error:
        return
    if _hash(data) == sha256:
        machine.write_bytes(place, data)
        machine.done("file staged", sha256)


def _hash(data: bytes | None) -> str:
    return "" if data is None else hashlib.sha256(data).hexdigest()


def file_script(text: str) -> Play | None:
    """What plays this script; None where it is none of ours for files."""
    found = _MARK.match(text)
    return _PLAYS[found.group(1)] if found is not None else None


def _values(console: Console) -> dict[str, str]:
    head = console.script.partition("function ")[0]
    return {name: number or _DOUBLED.sub(r"\1", text) for name, text, number in _VALUE.findall(head)}


def _has_folder(machine: Machine, path: str) -> bool:
    inside = f"{path.lower()}\\"
    return machine.has_folder(path) or any(name.startswith(inside) for name in machine.contents)


def _stop(console: Console, said: str, code: int) -> int:
    console.err(said)
    return code


def _put(console: Console, machine: Machine) -> int:
    values = _values(console)
    to = values["to"]
    here = to.rpartition("\\")[0]
    if not _has_folder(machine, here):
        return _stop(console, f"There is no directory {here}", 66)
    if machine.has_folder(to):
        return _stop(console, f"{to} is a directory", 66)
    data = machine.read_bytes(console.environment.get("OPSPORTAL_FILE", ""))
    if data is None or _hash(data) != values["sha256"]:
        return _stop(console, "The file did not come whole", 65)
    kept, former = console.environment["OPSPORTAL_KEPT"], machine.read_bytes(to)
    machine.write_bytes(f"{kept}.none" if former is None else f"{kept}.former", former or b"")
    machine.write_bytes(to, data)
    machine.done("file put in place", to)
    console.out(f"{to} is in place")
    return 0


def _check(console: Console, machine: Machine) -> int:
    values = _values(console)
    found = machine.read_bytes(values["to"])
    if _hash(found) == values["sha256"]:
        return 0
    console.out(f"{values['to']} {'is not there' if found is None else 'has another content'}")
    return 1


def _undo(console: Console, machine: Machine) -> int:
    to = _values(console)["to"]
    folder = console.environment["OPSPORTAL_KEPT"].rpartition("\\")[0]
    kept = f"{folder}\\{console.environment['OPSPORTAL_RUN_ATTEMPT']}"
    former = machine.read_bytes(f"{kept}.former")
    if machine.read_bytes(f"{kept}.guard") is None:
        return _stop(console, "What was kept of the former file is gone", 66)
    if machine.read_bytes(f"{kept}.none") is not None:
        machine.remove(to)
        console.out(f"{to} is gone again, as it was before")
    elif former is not None:
        machine.write_bytes(to, former)
        console.out(f"{to} is as it was before")
    else:
        console.out(f"{to} was not touched")
    return 0


def _fetch(console: Console, machine: Machine) -> int:
    values = _values(console)
    source, limit = values["from"], int(values["limit"])
    data = machine.read_bytes(source)
    if data is None:
        return _stop(console, f"There is no file {source}", 66)
    if len(data) > limit:
        said = f"{source} has {len(data)} bytes; this step takes {limit} at most"
        return _stop(console, said, 75)
    for at in range(0, len(data), FETCHED):
        console.out(base64.b64encode(data[at : at + FETCHED]).decode())
    outputs = f"size={len(data)}\nsha256={_hash(data)}\n"
    machine.write(console.environment["OPSPORTAL_OUTPUT"], outputs, append=True)
    return 0


_PLAYS: Final[dict[str, Play]] = {
    "upload run": _put,
    "upload check": _check,
    "upload undo": _undo,
    "download": _fetch,
}
