"""From a message in clear to its answer in clear, with the faults that a test asked for."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import Protocol
from xml.sax.saxutils import escape

from opsportal.simulated_windows import faults
from opsportal.simulated_windows.injection import Break, Injected, Injections
from opsportal.simulated_windows.operations import ClientGone, Operations
from opsportal.simulated_windows.settings import VENDOR, VERSION, Settings
from opsportal.simulated_windows.soap import (
    IDENTITY,
    InvalidHeader,
    NotSoap,
    Request,
    is_identify,
    parse,
)

DIALECT = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"


@dataclass(frozen=True)
class Reply:
    """An answer of HTTP. `cut`: only its first half is sent. `spoil`: its seal is broken."""

    status: int
    body: bytes = b""
    content_type: str = ""
    challenges: list[str] = field(default_factory=list)
    cut: bool = False
    spoil: bool = False


class ConnectionBroken(Exception):
    """End the connection after `sent`, without more words."""

    def __init__(self, sent: bytes = b"") -> None:
        super().__init__("the connection is to break")
        self.sent = sent


class Waiting(Protocol):
    """The client's side of a connection."""

    def alive(self) -> bool:
        """Whether it still waits."""


class Exchange:
    """Answers messages. `stopping` ends what hangs on purpose."""

    def __init__(self, settings: Settings, operations: Operations, injections: Injections) -> None:
        self.settings = settings
        self.operations = operations
        self.injections = injections
        self.stopping = threading.Event()

    def identify(self, *, known: bool) -> Reply:
        """Who is there. A stranger is told no version."""
        version = VERSION if known else "OS: 0.0.0 SP: 0.0 Stack: 3.0"
        body = (
            f'<s:Envelope xml:lang="en-US" xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body>'
            f'<wsmid:IdentifyResponse xmlns:wsmid="{IDENTITY}">'
            f"<wsmid:ProtocolVersion>{DIALECT}</wsmid:ProtocolVersion>"
            f"<wsmid:ProductVendor>{escape(VENDOR)}</wsmid:ProductVendor>"
            f"<wsmid:ProductVersion>{escape(version)}</wsmid:ProductVersion>"
            "</wsmid:IdentifyResponse></s:Body></s:Envelope>"
        )
        return Reply(200, body.encode())

    def answer(self, message: bytes, *, user: str, address: str, connection: Waiting) -> Reply:
        """Raises ConnectionBroken."""
        if is_identify(message):
            return self.identify(known=True)
        try:
            request = parse(message, user=user, address=address)
        except NotSoap:
            return Reply(400)
        except InvalidHeader as error:
            fault = faults.invalid_header(str(error))
            answer = fault.answer(relates_to=error.message_id, machine=self.settings.name)
            return Reply(answer.status, answer.body.encode())
        injected = self.injections.next(request.verb)
        if injected is None:
            return self._handled(request, connection)
        return self._broken(injected, request, connection)

    def _handled(self, request: Request, connection: Waiting) -> Reply:
        try:
            answer = self.operations.handle(request, connection.alive)
        except ClientGone as gone:
            raise ConnectionBroken from gone
        except faults.WsmanFault as fault:
            answer = fault.answer(relates_to=request.message_id, machine=self.settings.name)
        return Reply(answer.status, answer.body.encode())

    def _broken(self, injected: Injected, request: Request, connection: Waiting) -> Reply:
        match injected.fault:
            case Break.DROP:
                raise ConnectionBroken
            case Break.BUSY:
                return Reply(503)
            case Break.HANG:
                self._hang(connection)
                raise ConnectionBroken
            case Break.EXPIRE:
                self.operations.close(request.shell_id.upper())
        return self._spoilt(self._handled(request, connection), injected, request)

    def _spoilt(self, reply: Reply, injected: Injected, request: Request) -> Reply:
        match injected.fault:
            case Break.LOSE_REPLY:
                raise ConnectionBroken
            case Break.TRUNCATE:
                return replace(reply, body=reply.body[: len(reply.body) // 2])
            case Break.HALF:
                return replace(reply, cut=True)
            case Break.DELAY:
                self.stopping.wait(injected.seconds)
            case Break.WRONG_RELATION:
                other = request.message_id[:-4] + "0000"
                return replace(reply, body=reply.body.replace(request.message_id.encode(), other.encode()))
            case Break.BAD_SEAL:
                return replace(reply, spoil=True)
        return reply

    def _hang(self, connection: Waiting) -> None:
        while connection.alive() and not self.stopping.wait(0.2):
            pass
