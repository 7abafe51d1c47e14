"""A very small part of PowerShell."""

from __future__ import annotations

from opsportal.simulated_windows.console import Console
from opsportal.simulated_windows.machine import Machine


def interpret(console: Console, machine: Machine) -> int:
    console.error("The simulated Windows target does not emulate this script")
    return 1
