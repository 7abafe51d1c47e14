"""What a Windows target is, asked by one read-only script; the answers are checked as those of Linux are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from automation.libraries.errors import FactsUnreadable
from automation.libraries.facts import OUTPUT_LIMIT, SECONDS, Fact, known_facts
from automation.libraries.types import Stream
from automation.libraries.windows.connection import WinRMConnection
from automation.libraries.windows.plain import run_powershell
from automation.libraries.windows.script import pack_script

SCRIPT = Path(__file__).with_name("collect.ps1").read_text("ascii")
KIB = 1024
MIB = 1024**2


def collect_windows_facts(connection: WinRMConnection, *, seconds: float = SECONDS) -> dict[str, Fact]:
    """Ask the target by one script. Raises `FactsUnreadable`, and what `run_powershell` raises."""
    said = bytearray()

    def hear(stream: Stream, data: bytes) -> None:
        if stream == "stdout":
            said.extend(data)

    end = run_powershell(
        connection, pack_script(SCRIPT), on_output=hear, timeout=seconds, output_limit=OUTPUT_LIMIT
    )
    if end.how != "ended" or end.exit_code != 0:
        raise FactsUnreadable(f"The script did not come to its end ({end.how}, {end.exit_code})")
    return read_windows_facts(bytes(said))


def read_windows_facts(said: bytes) -> dict[str, Fact]:
    """The facts in two lines of JSON, the system and its disks. Raises `FactsUnreadable`."""
    try:
        system, disks = (json.loads(line) for line in said.decode("utf-8").strip().splitlines())
        names = _system(system) | _disk(disks if isinstance(disks, list) else [disks])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FactsUnreadable("The target named neither its version nor its disk") from None
    return known_facts({name: str(value) for name, value in names.items()})


def _system(told: dict[str, Any]) -> dict[str, Any]:
    found = {
        "os.distribution": "windows",
        "os.version": told["Version"],
        "os.name": told["Caption"],
        "hostname": told["CSName"],
        "kernel": told["Version"],
    }
    sizes = {"memory.mb": "TotalVisibleMemorySize", "memory.available_mb": "FreePhysicalMemory"}
    return found | {name: int(told[key]) // KIB for name, key in sizes.items() if told.get(key)}


def _disk(told: list[dict[str, Any]]) -> dict[str, Any]:
    for disk in told:
        if disk["DeviceID"] == "C:" and disk["Size"]:
            size, free = int(disk["Size"]), int(disk["FreeSpace"])
            return {
                "disk.root.mb": size // MIB,
                "disk.root.free_mb": free // MIB,
                "disk.root.used_percent": 100 - 100 * free // size,
            }
    return {}
