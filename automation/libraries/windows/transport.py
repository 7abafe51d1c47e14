"""The way of WS-Management messages: a connection that is logged in, in the shape that pywinrm expects."""

from __future__ import annotations

import socket

from winrm.exceptions import WinRMTransportError

from automation.libraries.deadlines import Deadlines, after
from automation.libraries.errors import ConnectionLost
from automation.libraries.resolution import Address, parse_target, resolve
from automation.libraries.types import Credentials
from automation.libraries.windows.errors import NotWinRM, WinRMBroken, WinRMUnavailable
from automation.libraries.windows.http import Answer, AnswerBroken, Link, LinkBroken
from automation.libraries.windows.login import SOAP, Login, refuse_insecure, refused_request
from automation.libraries.windows.proxy import tunnel
from automation.libraries.windows.tls import make_context, shake_hands
from automation.libraries.windows.types import OnPhase, WinRMEndpoint
from automation.libraries.wire import dial

PATH = "/wsman"
IDENTIFY = (
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    b'xmlns:wsmid="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd">'
    b"<s:Header/><s:Body><wsmid:Identify/></s:Body></s:Envelope>"
)


class Transport:
    """One connection to one target, for one thread.

    It stands where pywinrm has its own transport: that one has no overall deadline, reads proxies and
    authorities from the environment, needs key files on the disk, and takes Kerberos logins only from the
    whole process's ticket cache.
    """

    def __init__(self, link: Link, login: Login, endpoint: WinRMEndpoint) -> None:
        self._link = link
        self._login = login
        self._endpoint = endpoint
        self.seconds = 30.0
        """How long one request may take."""

    @property
    def alive(self) -> bool:
        """The connection is up as far as this end can know."""
        return self._link.fresh()

    def send_message(self, message: str | bytes) -> bytes:
        """The answer to a message.

        Raises `WinRMTransportError` with the body of an HTTP fault, `ConnectionLost`, and errors that name
        what answers instead of WinRM.
        """
        plain = message.encode("utf-8") if isinstance(message, str) else message
        body, kind = self._login.seal(plain) if self._login.sealed else (plain, SOAP)
        headers = {**self._login.headers, "Content-Type": kind}
        if not self._link.open:
            raise ConnectionLost("The connection to the target had ended", sent=False)
        try:
            answer = self._link.post(body, headers, deadline=after(self.seconds))
        except LinkBroken as fault:
            raise ConnectionLost(f"The connection to the target was lost: {fault}", sent=fault.sent) from None
        except AnswerBroken as fault:
            raise NotWinRM(f"{self._endpoint} does not speak WinRM: {fault}", sent=True) from None
        return self._message_of(answer)

    def _message_of(self, answer: Answer) -> bytes:
        if answer.status == 200:
            return self._login.unseal(answer) if self._login.sealed else answer.body
        fault = self._fault_of(answer)
        if answer.status == 500 or (answer.status == 400 and fault):
            raise WinRMTransportError("http", answer.status, fault.decode("utf-8", "replace"))
        if answer.status == 401:
            raise refused_request(answer, self._endpoint)
        if answer.status == 503:
            raise WinRMUnavailable("The target's WinRM service does not answer now (503)")
        if answer.status == 400:
            self._link.close()
            raise ConnectionLost("The target does not accept the connection's encryption any more (400)")
        if answer.status in (301, 302, 403, 404, 405, 411):
            raise NotWinRM(f"{self._endpoint} answers with HTTP status {answer.status}")
        raise WinRMBroken(f"The target answered with HTTP status {answer.status}")

    def _fault_of(self, answer: Answer) -> bytes:
        if not answer.body:
            return b""
        return self._login.unseal(answer) if self._login.sealed and answer.status == 500 else answer.body

    def cut(self) -> None:
        """Hang up under another thread that waits for an answer; it is told that the connection ended."""
        self._link.cut()

    def close_session(self) -> None:
        """Hang up. Under the name that pywinrm uses."""
        self._link.close()


def _ignore(_phase: str) -> None:
    """Nobody wants to know."""


def open_transport(
    endpoint: WinRMEndpoint,
    credentials: Credentials,
    *,
    limits: Deadlines,
    on_phase: OnPhase | None = None,
) -> Transport:
    """A connection that is logged in, where the method logs connections in.

    Nothing secret is sent before the target's certificate was verified. On any error nothing is left open.
    """
    begin = on_phase or _ignore
    refuse_insecure(endpoint, credentials)
    context = make_context(endpoint, credentials) if endpoint.https else None
    begin("resolve")
    addresses = _addresses(endpoint, limits)
    begin("tcp")
    wire: socket.socket = dial(addresses, limits, deadline=after(limits.tcp))
    try:
        # From here on it is read with one deadline for each answer.
        wire = socket.socket(fileno=wire.detach())
        if endpoint.proxy:
            tunnel(wire, endpoint, deadline=after(limits.tcp))
        if context is not None:
            begin("tls")
            wire = shake_hands(wire, context, endpoint, deadline=after(limits.key_exchange))
        link = Link(wire, name=str(endpoint), path=PATH)
        login = Login(endpoint, credentials)
        if on_phase is not None:
            begin("protocol")
            _identify(link, endpoint, deadline=after(limits.banner))
        begin("credential")
        _log_in(link, login, endpoint, deadline=after(limits.login))
    except BaseException:
        wire.close()
        raise
    return Transport(link, login, endpoint)


def _identify(link: Link, endpoint: WinRMEndpoint, *, deadline: float) -> None:
    """Ask without a login what listens there: only WinRM knows the question."""
    headers = {"Content-Type": SOAP, "WSMANIDENTIFY": "unauthenticated"}
    try:
        answer = link.post(IDENTIFY, headers, deadline=deadline)
    except AnswerBroken as fault:
        raise NotWinRM(f"{endpoint} does not speak WinRM: {fault}") from None
    except LinkBroken as fault:
        raise WinRMUnavailable(f"The target took the connection but gave no answer: {fault}") from None
    if answer.status == 503:
        raise WinRMUnavailable("The target's WinRM service does not answer now (503)")
    if not (answer.status == 401 or (answer.status == 200 and b"IdentifyResponse" in answer.body)):
        raise NotWinRM(f"{endpoint} answers with HTTP status {answer.status}")


def _log_in(link: Link, login: Login, endpoint: WinRMEndpoint, *, deadline: float) -> None:
    try:
        login.perform(link, deadline=deadline)
    except AnswerBroken as fault:
        raise NotWinRM(f"{endpoint} does not speak WinRM: {fault}") from None
    except LinkBroken as fault:
        raise WinRMUnavailable(f"The target did not finish the login: {fault}") from None


def _addresses(endpoint: WinRMEndpoint, limits: Deadlines) -> tuple[Address, ...]:
    if not endpoint.proxy:
        return resolve(endpoint.host, endpoint.port, deadline=after(limits.resolve))
    proxy = parse_target(endpoint.proxy.removeprefix("http://").rstrip("/"), default_port=8080)
    return resolve(proxy.host, proxy.port, deadline=after(limits.resolve))
