"""What a command line starts on the simulated target: a few programs, and what a test registered."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from opsportal.simulated_windows.behaviours import Behaviours
from opsportal.simulated_windows.bootstrap import is_bootstrap, play_bootstrap
from opsportal.simulated_windows.cmdlets import sessions
from opsportal.simulated_windows.command_line import (
    CMD_LIMIT,
    NotEmulated,
    PowerShellCall,
    cmd_parts,
    expand,
    powershell_call,
)
from opsportal.simulated_windows.console import Console
from opsportal.simulated_windows.file_programs import file_script, is_staging, play_staging
from opsportal.simulated_windows.machine import Machine
from opsportal.simulated_windows.powershell import Outcome, interpret
from opsportal.simulated_windows.running import Command

REMEMBERED = 1000  # scripts
NOT_EMULATED = "The simulated Windows target does not emulate: {}"


@dataclass(frozen=True)
class Played:
    """A script that was started, for tests to look at."""

    script: str
    parameters: dict[str, Any]
    command_id: str


@dataclass
class Programs:
    """The programs of one target."""

    machine: Machine
    behaviours: Behaviours = field(default_factory=Behaviours)
    played: deque[Played] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def __call__(self, command: Command) -> Callable[[Command], int]:
        return self._cmd if command.line.by_cmd else self._direct

    def _direct(self, command: Command) -> int:
        return self._program(command, command.line.text)

    def _cmd(self, command: Command) -> int:
        """As `cmd.exe /c`: variables, chains, then programs."""
        console = Console(command, script=command.line.text)
        if len(command.line.text) > CMD_LIMIT:
            console.err("The command line is too long.")
            return 1
        text = command.line.text
        words = text.split(maxsplit=2)
        if len(words) > 2 and words[0].lower() in ("cmd", "cmd.exe") and words[1].lower() == "/c":
            text = words[2]
        environment = {**variables(self.machine.name), **command.place.environment}
        code = 0
        parts = [("", text)] if powershell_call_name(text) else cmd_parts(text)
        for joint, part in parts:
            if (joint == "&&" and code) or (joint == "||" and not code):
                continue
            code, ended = self._part(command, expand(part, environment), environment)
            if ended:
                break
        return code

    def _part(self, command: Command, part: str, environment: dict[str, str]) -> tuple[int, bool]:
        """The exit code of one program of a chain, and whether it ended the whole shell."""
        console = Console(command, script=part)
        written = console.out
        if ">&2" in part:
            part, written = part.replace(">&2", ""), console.err
        name, _, rest = part.lstrip().partition(" ")
        match name.lower():
            case "echo":
                written(rest)
            case "set":
                for key in sorted(environment, key=str.upper):
                    written(f"{key}={environment[key]}")
            case "exit":
                number = rest.replace("/b", "").strip()
                return int(number) if number.lstrip("-").isdecimal() else 0, True
            case "cd":
                written(command.place.directory or r"C:\Users\simulated")
            case "ver":
                written("OpsPortal simulated Windows [no Microsoft product]")
            case _:
                return self._program(command, part.strip()), False
        return 0, False

    def _program(self, command: Command, line: str) -> int:
        console = Console(command, script=line)
        try:
            call = powershell_call(line)
        except NotEmulated as error:
            console.err(NOT_EMULATED.format(error))
            return 1
        if call is not None:
            return self._powershell(command, call)
        play = self.behaviours.find(line)
        if play is not None:
            return play(console)
        name = line.partition(" ")[0].strip('"').rpartition("\\")[2].lower().removesuffix(".exe")
        match name:
            case "hostname":
                console.out(self.machine.name)
            case "whoami":
                console.out(f"{self.machine.name}\\{command.place.user}".lower())
            case "ipconfig":
                console.out(
                    "\r\nWindows IP Configuration\r\n\r\n   (simulated) IPv4 Address . . : 192.0.2.10"
                )
            case "quser":
                for row in sessions(self.machine):
                    console.out(row)
            case _:
                console.err(f"'{name}' is not recognized. {NOT_EMULATED.format(name)}")
                return 1
        return 0

    def _powershell(self, command: Command, call: PowerShellCall) -> int:
        if is_bootstrap(call.script):
            return play_bootstrap(command, self.machine, call.script, self.script)
        if is_staging(call.script):
            return play_staging(command, self.machine)
        script = command.read_input().decode("utf-8", "replace") if call.from_input else call.script
        return self.script(Console(command, script=script, clixml=call.encoded)).code

    def script(self, console: Console) -> Outcome:
        """Run one PowerShell script: as registered, else by the small interpreter."""
        self.played.append(Played(console.script, console.parameters, console.command.id))
        play = self.behaviours.find(console.script)
        of_a_file = file_script(console.script)
        if play is not None:
            outcome = Outcome(play(console))
        elif of_a_file is not None:
            outcome = Outcome(of_a_file(console, self.machine))
        else:
            outcome = interpret(console, self.machine)
        console.close()
        return outcome


def powershell_call_name(text: str) -> bool:
    """Whether the line is one of powershell.exe: its quotes and `&` are for PowerShell then."""
    return text.lstrip(' "').lower().startswith(("powershell", "pwsh")) or "powershell.exe" in text.lower()


def variables(name: str) -> dict[str, str]:
    """The environment of every process."""
    return {
        "COMPUTERNAME": name,
        "ComSpec": r"C:\Windows\system32\cmd.exe",
        "NUMBER_OF_PROCESSORS": str(os.cpu_count() or 1),
        "OS": "Windows_NT",
        "ProgramData": r"C:\ProgramData",
        "SIMULATED": "OpsPortal simulated Windows target",
        "SystemDrive": "C:",
        "SystemRoot": r"C:\Windows",
        "TEMP": r"C:\Users\simulated\AppData\Local\Temp",
        "USERPROFILE": r"C:\Users\simulated",
    }
