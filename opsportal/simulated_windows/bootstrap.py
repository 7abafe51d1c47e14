"""The product's own bootstrap, as the simulated target plays it.

A real Windows runs the PowerShell text of bootstrap and guard; here the bootstrap is recognised by its first
line, and what both promise is played: the order on stdin, the guard file made with CreateNew, the records on
stdout. Whether the PowerShell text keeps the promise only a real Windows can tell.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opsportal.simulated_windows.console import Console
from opsportal.simulated_windows.machine import Machine
from opsportal.simulated_windows.powershell import Outcome
from opsportal.simulated_windows.running import Command, Process

MARK = re.compile(r"OpsPortal bootstrap (\d+)")
PLAYED = "1"
UPLOAD_BROKEN = 91
SEPARATOR = b"\x1e"
OUTPUTS = 65_537  # bytes of the outputs file that are read at most
LOCAL = r"C:\Users\simulated\AppData\Local"


def is_bootstrap(text: str) -> bool:
    return MARK.search(text) is not None


def order_of(stdin: bytes) -> dict[str, Any] | None:
    """What was asked, or None where its length or hash is another than its first line says."""
    head, *rest = stdin.decode("ascii", "replace").split("\n")
    text = "".join(line.removesuffix("\r") for line in rest).encode("ascii", "replace")
    digest = hashlib.sha256(text).hexdigest().upper()
    if head.removesuffix("\r") != f"OPSPORTAL {PLAYED} {len(text)} {digest}":
        return None
    order: dict[str, Any] = json.loads(text)
    return order


Scripts = Callable[[Console], Outcome]


@dataclass(frozen=True)
class Bootstrap:
    """One run of the bootstrap."""

    command: Command
    machine: Machine
    order: dict[str, Any]

    def play(self, script: Scripts) -> int:
        match self.order["mode"]:
            case "probe":
                self._probe()
                return 0
            case "reclaim":
                self._reclaim()
                return 0
            case "run":
                return self._run(script)
        return self._script(script)

    def _record(self, text: str) -> None:
        self.command.write("stdout", SEPARATOR + f"{self.order['nonce']} {text}\n".encode())

    @property
    def _boot(self) -> str:
        return f"{self.machine.boot_id} {self.machine.uptime:.3f}"

    @property
    def _guard(self) -> str:
        return f"{self.order['spool']}\\{self.order['attempt']}.guard"

    def _probe(self) -> None:
        base = self.order.get("spool") or self.command.place.environment.get("LOCALAPPDATA", LOCAL)
        spool = f"{base}\\OpsPortal\\{self.order['installation']}"
        self.machine.make_folder(spool)
        shown = [base64.b64encode(text.encode()).decode() for text in (self._user, spool)]
        self._record(f"PROBE {self._boot} {shown[0]} {shown[1]} {self.machine.folder_id(spool)}")

    @property
    def _user(self) -> str:
        return f"{self.machine.name}\\{self.command.place.user}"

    def _reclaim(self) -> None:
        spool = self.order["spool"]
        made = self.machine.has_folder(spool) and self.machine.create_new(self._guard, "fenced\n")
        text = self.machine.read(self._guard)
        if text is None:
            self._record("REFUSED spool.unusable")
        elif made or text.startswith("fenced"):
            self._record(f"FENCED {self._boot} {self.machine.folder_id(spool)}")
        else:
            self._record(f"FOUND {self._found(text)}")

    def _found(self, text: str) -> str:
        ended = re.search(r"(?m)^end (\d+|-)", text)
        started = re.search(r"(?m)^started (\d+) (\d+) (\d+)", text)
        if ended is not None:
            return f"ended {ended.group(1)}"
        if started is None:
            return "running -"
        boot, number, ticks = started.groups()
        if boot != str(self.machine.boot_id):
            return "rebooted -"
        return "running -" if self.machine.process_lives(int(number), int(ticks)) else "lost -"

    def _refusal(self) -> str:
        spool = self.order["spool"]
        if not self.machine.has_folder(spool):
            return "spool.missing"
        if self.machine.folder_id(spool) != self.order["spool_id"]:
            return "spool.changed"
        text = self.machine.read(self._guard)
        if text is None:
            return "spool.full"
        return "fenced" if text.startswith("fenced") else "exists"

    def _run(self, script: Scripts) -> int:
        spool = self.order["spool"]
        for attempt in self.order.get("forget") or []:
            for kind in ("guard", "former", "none"):
                self.machine.remove(f"{spool}\\{attempt}.{kind}")
        process = self.machine.process(self.command)
        line = f"started {self.machine.boot_id} {process.number} {process.ticks}\n"
        if not self.machine.has_folder(spool) or self.machine.folder_id(spool) != self.order["spool_id"]:
            self._record(f"REFUSED {self._refusal()}")
            return 0
        if not self.machine.create_new(self._guard, line):
            self._record(f"REFUSED {self._refusal()}")
            return 0
        return self._script(script, process)

    def _script(self, script: Scripts, process: Process | None = None) -> int:
        """Without `process` there is no guard file."""
        temporary = rf"C:\Users\simulated\AppData\Local\Temp\{self.command.id}.tmp"
        given = {**(self.order.get("environment") or {}), "OPSPORTAL_OUTPUT": temporary}
        if process is not None:
            given["OPSPORTAL_KEPT"] = self._guard.removesuffix(".guard")
        console = Console(
            self.command,
            script=self.order["script"],
            parameters=self.order.get("parameters"),
            environment=given,
            clixml=True,
        )
        console.stop_on_errors = True
        self.machine.done("script started", self.order.get("attempt") or "")
        self._record("BEGIN")
        outcome = script(console)
        shown = "-" if outcome.by_exit else str(outcome.code & 0xFFFFFFFF)
        written = (self.machine.read(temporary) or "").encode()[:OUTPUTS]
        outputs = base64.b64encode(written).decode() or "-"
        if process is not None:
            self.machine.write(self._guard, f"end {shown}\n", append=True)
        self._record(f"END {shown} {outputs}")
        return outcome.code


def play_bootstrap(command: Command, machine: Machine, text: str, script: Scripts) -> int:
    """Reads the order from stdin and plays it."""
    found = MARK.search(text)
    if found is None or found.group(1) != PLAYED:
        Console(command, script=text, clixml=True).error(
            f"The simulated Windows target plays the OpsPortal bootstrap {PLAYED} only."
        )
        return 1
    order = order_of(command.read_input())
    return UPLOAD_BROKEN if order is None else Bootstrap(command, machine, order).play(script)
