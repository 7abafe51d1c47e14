"""The product's own bootstrap, as the simulated target plays it.

A real Windows runs the PowerShell text; here it is recognised by its mark and its contract is played: stdin
is a JSON object with `script`, `parameters` and, for work that must start at most once, `guard`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from opsportal.simulated_windows.console import Console
from opsportal.simulated_windows.machine import Machine
from opsportal.simulated_windows.running import Command

MARK = re.compile(r"OpsPortal bootstrap (\d+)")


def is_bootstrap(text: str) -> bool:
    return MARK.search(text) is not None


def play_bootstrap(command: Command, machine: Machine, script: Callable[[Console], int]) -> int:
    asked = json.loads(command.read_input().decode("utf-8-sig"))
    guard = asked.get("guard")
    if guard is not None and not machine.create_new(guard, command.id):
        Console(command, script="").err("the guard file exists already")
        return 1
    console = Console(command, script=asked["script"], parameters=asked.get("parameters") or {}, clixml=True)
    machine.done("script started", guard or "")
    return script(console)
