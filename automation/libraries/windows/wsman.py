"""The operations of a remote shell, by `winrm.Protocol`: with ids of our own and answers that are checked.

Messages are built by pywinrm where it can, and by hand where it leaves out what is needed here: ids chosen
by the client, a message id that may be sent again, what a fault really says.
"""

from __future__ import annotations

import base64
import binascii
import math
import uuid
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import xmltodict
from winrm.exceptions import WinRMError, WinRMOperationTimeoutError, WinRMTransportError, WSManFaultError
from winrm.protocol import Protocol

from automation.libraries.errors import LibraryError
from automation.libraries.types import Stream
from automation.libraries.windows.errors import (
    ShellLost,
    WinRMAccessDenied,
    WinRMBroken,
    WinRMFault,
    WinRMQuota,
)
from automation.libraries.windows.transport import Transport

CODEPAGE = 65001
ENVELOPE = 153_600
"""Bytes of an answer that we ask for: what every Windows sends."""
SEND_PIECE = 100_000
"""Bytes of stdin in a message: with base64 and envelope they fit the smallest limit of a request (150 KB)."""
MARGIN = 10.0
"""Seconds that an answer may be later than the time in which the target wants to give it."""
SHELL_GONE = frozenset({2150858843, 2147943418})
TOO_MUCH = frozenset({2150859173, 2150859174})
OPERATIONS_USED_UP = 2150859174
ABORTED = 995
BAD_COMMAND = 87
DENIED = 5
OWN_IDS_REFUSED = frozenset({2150858817, 2150858762})
"""Schema validation, and an option that is not supported: what older targets may say to ids of ours."""
_SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
_RESOURCE = f"{_SHELL}/cmd"
_TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"


class Fault(Exception):
    """The target refused a request; `number` is its WSManFault or WMI error code, 0 when it gave none."""

    def __init__(self, number: int) -> None:
        super().__init__(str(number))
        self.number = number


class NothingYet(Exception):
    """The target had nothing to tell in the time it was given."""


@dataclass(frozen=True, slots=True)
class Received:
    """What one Receive gave. `exit_code` is set when the command is done."""

    pieces: tuple[tuple[Stream, bytes], ...]
    done: bool
    exit_code: int | None


class Wsman:
    """The operations over one transport, for one thread."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        # Its own transport is never used: it has no login of ours, and makes no connection by being made.
        nobody: dict[str, Any] = {"username": "-", "password": "-"}
        self._protocol = Protocol("http://unused", transport="basic", proxy=None, **nobody)
        self._protocol.transport = transport  # type: ignore[assignment]  # it has all that is used of it

    @property
    def alive(self) -> bool:
        """The connection is up as far as this end can know."""
        return self._transport.alive

    def create(self, shell_id: str | None, *, idle_seconds: float) -> str:
        """Open a shell, with an id of ours where one is given; the id that it really has."""
        header = self._header("Create", None, action=f"{_TRANSFER}/Create")
        # With the login's profile: guard files live below its folder of local data.
        header["env:Header"]["w:OptionSet"] = _options(WINRS_NOPROFILE="FALSE", WINRS_CODEPAGE=str(CODEPAGE))
        shell: dict[str, Any] = {
            "rsp:InputStreams": "stdin",
            "rsp:OutputStreams": "stdout stderr",
            "rsp:IdleTimeOut": f"PT{math.ceil(idle_seconds)}S",
        }
        if shell_id is not None:
            shell["@ShellId"] = shell_id
        root = self._ask(header, {"rsp:Shell": shell})
        for node in root.iter():
            if node.get("Name") == "ShellId" and node.text:
                return node.text
        raise WinRMBroken("The target opened a shell without telling its id", sent=False)

    def command(self, shell_id: str, command_id: str | None, program: str, arguments: tuple[str, ...]) -> str:
        """Start a program in a shell, with an id of ours where one is given; the id that it really has."""
        header = self._header("Command", shell_id)
        header["env:Header"]["w:OptionSet"] = _options(
            WINRS_CONSOLEMODE_STDIN="FALSE", WINRS_SKIP_CMD_SHELL="FALSE"
        )
        line: dict[str, Any] = {"rsp:Command": program, "rsp:Arguments": " ".join(arguments)}
        if command_id is not None:
            line["@CommandId"] = command_id
        root = self._ask(header, {"rsp:CommandLine": line})
        for node in root.iter(f"{{{_SHELL}}}CommandId"):
            if node.text:
                return node.text
        raise WinRMBroken("The target started a command without telling its id", sent=False)

    def send(self, shell_id: str, command_id: str, data: bytes, *, end: bool) -> None:
        """Hand on bytes to the command's stdin."""
        stream = {
            "@Name": "stdin",
            "@CommandId": command_id,
            "@End": "true" if end else "false",
            "#text": base64.b64encode(data).decode("ascii"),
        }
        try:
            self._ask(self._header("Send", shell_id), {"rsp:Send": {"rsp:Stream": stream}})
        except NothingYet:
            return  # the target took the bytes, its program has not read them yet

    def receive(self, shell_id: str, command_id: str, *, seconds: float, message_id: str) -> Received:
        """Wait for output, `seconds` at most. A `message_id` sent again asks for the same answer again.

        Raises `NothingYet` and `Fault`.
        """
        header = self._header("Receive", shell_id, seconds=seconds, message_id=message_id)
        wanted = {"@CommandId": command_id, "#text": "stdout stderr"}
        return _received(self._ask(header, {"rsp:Receive": {"rsp:DesiredStream": wanted}}, seconds=seconds))

    def signal(self, shell_id: str, command_id: str, code: str = "terminate") -> None:
        """End the command, or free what it left when it has ended."""
        body = {"rsp:Signal": {"@CommandId": command_id, "rsp:Code": f"{_SHELL}/signal/{code}"}}
        self._ask(self._header("Signal", shell_id), body)

    def delete(self, shell_id: str) -> None:
        """Close a shell and end what runs in it."""
        self._ask(self._header("Delete", shell_id, action=f"{_TRANSFER}/Delete"), {})

    def get(self, shell_id: str, *, seconds: float) -> None:
        """Ask whether a shell is there. Raises `Fault`."""
        header = self._header("Get", shell_id, action=f"{_TRANSFER}/Get", seconds=seconds)
        self._ask(header, {}, seconds=seconds)

    def cut(self) -> None:
        """End the connection under another thread that waits for an answer."""
        self._transport.cut()

    def hang_up(self) -> None:
        """Close the connection. Safe to repeat."""
        self._transport.close_session()

    def _header(
        self,
        name: str,
        shell_id: str | None,
        *,
        action: str = "",
        seconds: float = 20.0,
        message_id: str | None = None,
    ) -> dict[str, Any]:
        self._protocol.operation_timeout_sec = max(1, math.ceil(seconds))
        header: dict[str, Any] = self._protocol.build_wsman_header(
            action=action or f"{_SHELL}/{name}",
            resource_uri=_RESOURCE,
            shell_id=shell_id,
            message_id=message_id or str(uuid.uuid4()).upper(),
        )
        return header

    def _ask(
        self, header: dict[str, Any], body: dict[str, Any], *, seconds: float = 20.0
    ) -> ElementTree.Element:
        asked = header["env:Header"]["a:MessageID"]
        header["env:Body"] = body
        self._transport.seconds = max(1, math.ceil(seconds)) + MARGIN
        try:
            text = self._protocol.send_message(xmltodict.unparse({"env:Envelope": header}))
        except WinRMOperationTimeoutError:
            raise NothingYet from None
        except WSManFaultError as fault:
            raise Fault(fault.wsman_fault_code or fault.wmierror_code or 0) from None
        except (WinRMTransportError, WinRMError):
            raise WinRMBroken("The target's answer is no WS-Management message", sent=True) from None
        try:
            root = ElementTree.fromstring(text)  # noqa: S314 - expat bounds what entities can grow to
        except (ElementTree.ParseError, ValueError):
            raise WinRMBroken("The target's answer is no whole XML", sent=True) from None
        _check_relation(root, asked)
        return root


def _check_relation(root: ElementTree.Element, asked: str) -> None:
    related = root.find(".//{http://schemas.xmlsoap.org/ws/2004/08/addressing}RelatesTo")
    if related is None or (related.text or "").lower() != asked.lower():
        raise WinRMBroken("The target's answer belongs to another question", sent=True)


def _options(**options: str) -> dict[str, Any]:
    return {"w:Option": [{"@Name": name, "#text": value} for name, value in options.items()]}


def _received(root: ElementTree.Element) -> Received:
    pieces: list[tuple[Stream, bytes]] = []
    for node in root.iter(f"{{{_SHELL}}}Stream"):
        name: Stream = "stderr" if node.get("Name") == "stderr" else "stdout"
        try:
            data = base64.b64decode(node.text or "")
        except (binascii.Error, ValueError):
            raise WinRMBroken("The target's output is no base64", sent=True) from None
        if data:
            pieces.append((name, data))
    state = root.find(f".//{{{_SHELL}}}CommandState")
    done = state is not None and state.get("State", "").endswith("/Done")
    code = root.findtext(f".//{{{_SHELL}}}ExitCode")
    return Received(tuple(pieces), done, signed(code) if done else None)


def signed(code: str | None) -> int | None:
    """An exit code as Windows means it: a signed 32-bit number, which the wire shows unsigned."""
    if code is None or not code.strip().lstrip("-").isdigit():
        return None
    number = int(code) & 0xFFFFFFFF
    return number - 2**32 if number >= 2**31 else number


def explain(fault: Fault, *, sent: bool) -> LibraryError:
    """A refused request as one of the errors of the family."""
    if fault.number in SHELL_GONE:
        return ShellLost("The target does not know the shell or the command any more", sent=sent)
    if fault.number in TOO_MUCH:
        what = "operations" if fault.number == OPERATIONS_USED_UP else "shells"
        return WinRMQuota(f"The login has as many {what} on the target as it may have", sent=sent)
    if fault.number == DENIED:
        return WinRMAccessDenied("The target denies this login the use of WinRM", sent=sent)
    if fault.number == ABORTED:
        return ShellLost("The command was ended from outside", sent=sent)
    return WinRMFault(f"The target refused the request with fault {fault.number}", sent=sent)
