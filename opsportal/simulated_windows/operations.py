"""What a WS-Management request does to the shells of the target, and how it is answered."""

from __future__ import annotations

import base64
import binascii
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from opsportal.simulated_windows import faults
from opsportal.simulated_windows.command_line import command_line
from opsportal.simulated_windows.running import Command, Place, Shell
from opsportal.simulated_windows.settings import Settings
from opsportal.simulated_windows.shell_xml import (
    command_created,
    config_answer,
    deleted,
    enumerate_answer,
    get_answer,
    receive_answer,
    send_answer,
    shell_created,
    signal_answer,
)
from opsportal.simulated_windows.soap import COMMAND_SHELL, CONFIG, SHELL, Answer, Request, new_id, seconds_of

SKIP = "WINRS_SKIP_CMD_SHELL"
OVERHEAD = 4096  # of an answer's envelope, roughly
ELEMENT = 200  # of one Stream element
SLICE = 0.25  # seconds between two looks at whether the client is still there
REMEMBERED = 100_000  # requests
TERMINATE = ("/terminate", "/ctrl_break")


@dataclass(frozen=True)
class Call:
    """One request that was understood, for tests to look at. `at` is `time.monotonic()`."""

    verb: str
    user: str
    shell_id: str
    command_id: str
    at: float = field(default_factory=time.monotonic)


Program = Callable[[Command], int]
Programs = Callable[[Command], Program]
"""Finds what a command line starts."""


class Operations:
    """The shells of one target. Every method is safe to call from many threads."""

    def __init__(self, settings: Settings, programs: Programs) -> None:
        self.settings = settings
        self.programs = programs
        self.shells: dict[str, Shell] = {}
        self.calls: deque[Call] = deque(maxlen=REMEMBERED)
        self._lock = threading.RLock()
        self._last: dict[str, tuple[str, Answer]] = {}
        self._verbs: dict[str, Callable[[Request], Answer]] = {
            "Create": self._create,
            "Command": self._command,
            "Send": self._send,
            "Signal": self._signal,
            "Delete": self._delete,
            "Get": self._get,
            "Enumerate": self._enumerate,
        }

    def handle(self, request: Request, alive: Callable[[], bool]) -> Answer:
        """`alive` tells whether the client still waits. Raises WsmanFault and ClientGone."""
        self.calls.append(Call(request.verb, request.user, request.shell_id, command_id_of(request)))
        if request.size > self.settings.quotas.envelope:
            raise faults.envelope_too_large()
        if request.verb == "Receive":
            return self._receive(request, alive)
        if request.verb not in self._verbs:
            raise faults.unsupported_action(request.action)
        with self._lock:
            return self._verbs[request.verb](request)

    def expire(self) -> None:
        """Close the shells that nobody used for too long."""
        with self._lock:
            now = time.monotonic()
            for shell in [shell for shell in self.shells.values() if shell.expired(now)]:
                self.close(shell.id)

    def close(self, shell_id: str) -> None:
        """As if its time were over; nothing happens where it is gone."""
        with self._lock:
            shell = self.shells.pop(shell_id, None)
            if shell is not None:
                shell.close()
                self._last.pop(shell_id, None)

    def close_all(self) -> None:
        with self._lock:
            for shell_id in list(self.shells):
                self.close(shell_id)

    def shell(self, request: Request) -> Shell:
        self.expire()
        found = self.shells.get(request.shell_id.upper())
        if found is None or found.owner != request.user:
            raise faults.no_such_shell()
        found.touched = time.monotonic()
        return found

    def command(self, shell: Shell, command_id: str) -> Command:
        if not command_id:
            raise faults.incorrect_parameter()
        found = shell.commands.get(command_id.upper())
        if found is None:
            raise faults.no_such_command()
        return found

    def _own_id(self, chosen: str, taken: dict[str, Shell] | dict[str, Command], what: str) -> str:
        """The id for something new, by what the client chose. Raises WsmanFault."""
        if not chosen or self.settings.client_ids == "ignore":
            return new_id()
        if self.settings.client_ids == "refuse":
            raise faults.invalid_schema(f"The attribute {what} is not allowed here. ")
        if chosen.upper() in taken:
            raise faults.already_exists(what)
        return chosen.upper()

    def _create(self, request: Request) -> Answer:
        wanted = request.find("rsp:Shell")
        if request.resource != COMMAND_SHELL or wanted is None:
            raise faults.unsupported_action(f"{request.action} of {request.resource}")
        self.expire()
        quotas = self.settings.quotas
        if sum(shell.owner == request.user for shell in self.shells.values()) >= quotas.shells_per_user:
            raise faults.too_many_shells()

        def text(name: str) -> str:
            return wanted.findtext(f"{{{SHELL}}}{name}", "")

        variables = wanted.findall(f"{{{SHELL}}}Environment/{{{SHELL}}}Variable")
        codepage = request.options.get("WINRS_CODEPAGE", "")
        shell = Shell(
            id=self._own_id(wanted.get("ShellId", ""), self.shells, "ShellId"),
            owner=request.user,
            address=request.address,
            idle_timeout=seconds_of(text("IdleTimeOut")) or quotas.idle_timeout,
            place=Place(
                {item.get("Name", ""): item.text or "" for item in variables},
                text("WorkingDirectory"),
                int(codepage) if codepage.isdecimal() else 437,
                request.user,
            ),
            name=text("Name"),
        )
        self.shells[shell.id] = shell
        return shell_created(shell, request)

    def _command(self, request: Request) -> Answer:
        shell = self.shell(request)
        wanted = request.find("rsp:CommandLine")
        if wanted is None:
            raise faults.invalid_schema("There is no CommandLine. ")
        used = sum(other.operations for other in self.shells.values() if other.owner == request.user)
        if used >= self.settings.quotas.operations_per_user:
            raise faults.too_many_operations()
        name = wanted.findtext(f"{{{SHELL}}}Command", "")
        arguments = [item.text or "" for item in wanted.findall(f"{{{SHELL}}}Arguments")]
        line = command_line(name, arguments, skip=request.options.get(SKIP, "").upper() == "TRUE")
        command = Command(
            self._own_id(wanted.get("CommandId", ""), shell.commands, "CommandId"),
            line,
            shell.place,
        )
        shell.commands[command.id] = command
        shell.operations += 1
        command.run(self.programs(command))
        return command_created(command, request)

    def _send(self, request: Request) -> Answer:
        shell = self.shell(request)
        stream = request.find("rsp:Send/rsp:Stream")
        if stream is None:
            raise faults.invalid_schema("There is no Stream. ")
        command = self.command(shell, stream.get("CommandId", ""))
        try:
            data = base64.b64decode(stream.text or "", validate=True)
        except binascii.Error as error:
            raise faults.invalid_schema("The Stream is no base64. ") from error
        command.feed(data, end=stream.get("End", "").lower() == "true")
        return send_answer(request)

    def _signal(self, request: Request) -> Answer:
        shell = self.shell(request)
        command = self.command(shell, command_id_of(request))
        signal = request.find("rsp:Signal/rsp:Code")
        code = (signal.text or "").lower() if signal is not None else ""
        terminate = code.endswith(TERMINATE)
        command.terminate(abort=terminate)
        if terminate or not command.running:
            del shell.commands[command.id]
        return signal_answer(request)

    def _delete(self, request: Request) -> Answer:
        self.close(self.shell(request).id)
        return deleted(request)

    def _get(self, request: Request) -> Answer:
        if request.resource == CONFIG:
            return config_answer(self.settings, request)
        return get_answer(self.shell(request), request)

    def _enumerate(self, request: Request) -> Answer:
        self.expire()
        return enumerate_answer(
            [shell for shell in self.shells.values() if shell.owner == request.user], request
        )

    def _receive(self, request: Request, alive: Callable[[], bool]) -> Answer:
        with self._lock:
            shell = self.shell(request)
            repeated = self._last.get(shell.id)
            if repeated is not None and repeated[0] == request.message_id:
                return repeated[1]  # the same question again, since its answer was lost: the same answer
            command = self.command(shell, command_id_of(request))
            if command.delivered:
                raise faults.no_such_command()
            shell.receiving += 1
        try:
            answer = self._wait(command, request, alive)
        finally:
            shell.receiving -= 1
            shell.touched = time.monotonic()
        with self._lock:
            if shell.id in self.shells:
                self._last[shell.id] = (request.message_id, answer)
        return answer

    def _wait(self, command: Command, request: Request, alive: Callable[[], bool]) -> Answer:
        deadline = time.monotonic() + min(request.timeout, self.settings.quotas.longest_operation)
        while not command.wait(min(SLICE, max(0.0, deadline - time.monotonic()))):
            if not alive():
                raise ClientGone
            if time.monotonic() >= deadline:
                raise faults.timed_out()
        if command.aborted:
            raise faults.aborted()
        if not alive():
            raise ClientGone
        room = min(request.max_envelope, self.settings.quotas.envelope) - OVERHEAD - ELEMENT
        return receive_answer(command, command.take(max(1, room * 3 // 4)), request)


class ClientGone(Exception):
    """Nobody waits for the answer any more. What was there to tell is kept for the next who asks."""


def command_id_of(request: Request) -> str:
    """The command that a request is about; empty for none."""
    for path in ("rsp:Receive/rsp:DesiredStream", "rsp:Send/rsp:Stream", "rsp:Signal"):
        found = request.find(path)
        if found is not None:
            return found.get("CommandId", "")
    return ""
