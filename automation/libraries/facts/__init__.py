"""What a Linux target is, asked by one read-only script and checked value by value.

The answers come from the target, so they are data of a stranger: known names only, each of its kind, cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from automation.libraries.errors import FactsUnreadable
from automation.libraries.plain import run_plain
from automation.libraries.types import Connection, Stream

Fact = str | int | bool

SCRIPT = Path(__file__).with_name("collect.sh").read_bytes()
SECONDS = 60.0
OUTPUT_LIMIT = 64 * 1024
LONGEST = 200
"""Characters of a fact."""


def _text(value: str) -> Fact | None:
    shown = "".join(letter for letter in value.strip() if letter.isprintable())
    return shown[:LONGEST] or None


def _word(value: str) -> Fact | None:
    return value if re.fullmatch(r"[A-Za-z0-9_.+:~-]{1,100}", value) else None


def _count(value: str) -> Fact | None:
    return int(value) if re.fullmatch(r"[0-9]{1,15}", value) else None


def _yes_or_no(value: str) -> Fact | None:
    return {"true": True, "false": False}.get(value)


KNOWN: dict[str, tuple[Callable[[str], Fact | None], str]] = {
    "os.distribution": (_word, "Distribution"),
    "os.version": (_word, "Version"),
    "os.name": (_text, "System"),
    "hostname": (_text, "Name of itself"),
    "kernel": (_word, "Kernel"),
    "architecture": (_word, "Architecture"),
    "cpus": (_count, "Processors"),
    "memory.mb": (_count, "Memory, MiB"),
    "memory.available_mb": (_count, "Memory available, MiB"),
    "memory.swap_mb": (_count, "Swap, MiB"),
    "disk.root.mb": (_count, "Disk of /, MiB"),
    "disk.root.free_mb": (_count, "Free on /, MiB"),
    "disk.root.used_percent": (_count, "Used on /, %"),
    "package_manager": (_word, "Package manager"),
    "init": (_word, "Init system"),
    "virtualisation": (_word, "Virtualisation"),
    "reboot_needed": (_yes_or_no, "Restart needed"),
}
"""Every fact there is, with its check and its label. Nothing else a target says becomes a fact."""
EVERY_LINUX_SAYS = ("kernel", "architecture")


def read_facts(said: bytes) -> dict[str, Fact]:
    """The facts in the script's output, in the order of `KNOWN`. Raises `FactsUnreadable`."""
    texts: dict[str, str] = {}
    for line in said.decode("utf-8", "replace").splitlines():
        name, is_fact, value = line.partition("=")
        if is_fact:
            texts.setdefault(name, value)
    found = known_facts(texts)
    if not all(name in found for name in EVERY_LINUX_SAYS):
        raise FactsUnreadable("The target named neither its kernel nor its architecture")
    return found


def known_facts(texts: Mapping[str, str]) -> dict[str, Fact]:
    """Those of these texts that are facts, in the order of `KNOWN`."""
    found = {name: check(texts[name]) for name, (check, _) in KNOWN.items() if name in texts}
    return {name: fact for name, fact in found.items() if fact is not None}


def collect_facts(connection: Connection, *, seconds: float = SECONDS) -> dict[str, Fact]:
    """Ask the target by one exec. Raises `FactsUnreadable`, and what opening a channel raises."""
    said = bytearray()

    def hear(stream: Stream, data: bytes) -> None:
        if stream == "stdout":
            said.extend(data)

    end = run_plain(connection, SCRIPT, on_output=hear, timeout=seconds, output_limit=OUTPUT_LIMIT)
    if end.how != "ended":
        raise FactsUnreadable(f"The script did not come to its end ({end.how})")
    return read_facts(bytes(said))
