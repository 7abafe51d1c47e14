"""WS-Management messages: what a client asks, read; what it is answered, written as Windows writes it.

The shape of every answer is that of recorded exchanges with real Windows machines (see the tests).
"""

from __future__ import annotations

import re
import uuid
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "x": "http://schemas.xmlsoap.org/ws/2004/09/transfer",
    "e": "http://schemas.xmlsoap.org/ws/2004/08/eventing",
    "n": "http://schemas.xmlsoap.org/ws/2004/09/enumeration",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "rsp": "http://schemas.microsoft.com/wbem/wsman/1/windows/shell",
    "p": "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd",
}
SHELL = NAMESPACES["rsp"]
COMMAND_SHELL = f"{SHELL}/cmd"
CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"
TRANSFER = NAMESPACES["x"]
ENUMERATION = NAMESPACES["n"]
ANONYMOUS = f"{NAMESPACES['a']}/role/anonymous"
IDENTITY = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
DEFAULT_TIMEOUT = 60.0
DEFAULT_ENVELOPE = 512_000
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


class NotSoap(Exception):
    """The body is no SOAP message."""


class InvalidHeader(Exception):
    """A header says what no machine can do. The message is the sentence for the fault."""

    def __init__(self, message: str, message_id: str) -> None:
        super().__init__(message)
        self.message_id = message_id


@dataclass(frozen=True)
class Request:
    """One message of a client. `timeout` in seconds, `max_envelope` in bytes."""

    action: str
    resource: str
    message_id: str
    to: str
    timeout: float
    max_envelope: int
    options: dict[str, str]
    selectors: dict[str, str]
    body: ElementTree.Element
    user: str = ""
    address: str = ""
    size: int = 0

    @property
    def verb(self) -> str:
        """The last word of the action: `Create`, `Receive`, ..."""
        return self.action.rpartition("/")[2]

    @property
    def shell_id(self) -> str:
        return self.selectors.get("ShellId", "")

    def find(self, path: str) -> ElementTree.Element | None:
        """An element of the body by its prefixed path, `rsp:Send/rsp:Stream`."""
        return self.body.find(path, NAMESPACES)


def is_identify(raw: bytes) -> bool:
    """Whether it is the one message that may come without a login."""
    return IDENTITY.encode() in raw and b"Identify" in raw


def parse(raw: bytes, *, user: str, address: str) -> Request:
    """Raises NotSoap and InvalidHeader."""
    if b"<!DOCTYPE" in raw:  # the parser would expand entities
        raise NotSoap("a document type is not allowed")
    try:
        root = ElementTree.fromstring(raw)  # noqa: S314  # no document type, so no entities
    except ElementTree.ParseError as error:
        raise NotSoap(str(error)) from error
    header, body = root.find("s:Header", NAMESPACES), root.find("s:Body", NAMESPACES)
    if header is None or body is None:
        raise NotSoap("an envelope has a header and a body")

    def text(path: str) -> str:
        return (header.findtext(path, "", NAMESPACES) or "").strip()

    message_id = text("a:MessageID")
    envelope = text("w:MaxEnvelopeSize")
    return Request(
        action=text("a:Action"),
        resource=text("w:ResourceURI"),
        message_id=message_id,
        to=text("a:To"),
        timeout=_timeout(text("w:OperationTimeout"), message_id),
        max_envelope=int(envelope) if envelope.isdecimal() else DEFAULT_ENVELOPE,
        options=_named(header, "w:OptionSet/w:Option"),
        selectors=_named(header, "w:SelectorSet/w:Selector"),
        body=body,
        user=user,
        address=address,
        size=len(raw),
    )


def _named(header: ElementTree.Element, path: str) -> dict[str, str]:
    return {item.get("Name", ""): item.text or "" for item in header.findall(path, NAMESPACES)}


def _timeout(text: str, message_id: str) -> float:
    if not text:
        return DEFAULT_TIMEOUT
    seconds = seconds_of(text)
    if seconds is None:
        said = (
            "The WS-Management service cannot process the request. "
            f"The XML contains an invalid timeout field in the SOAP header: {text}. "
        )
        raise InvalidHeader(said, message_id)
    return seconds


def seconds_of(duration: str) -> float | None:
    """Seconds of `PT1M2.5S`; None for what is no duration."""
    found = _DURATION.fullmatch(duration)
    if found is None or duration in ("P", "PT"):
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def new_id() -> str:
    return str(uuid.uuid4()).upper()


@dataclass(frozen=True)
class Answer:
    """A message to a client. `status` is the HTTP one."""

    body: str
    status: int = 200


def envelope(action: str, body: str, *, relates_to: str, prefixes: str) -> str:
    """An answer's whole text. `prefixes` are the namespaces it declares, in their order."""
    declared = "".join(f' xmlns:{prefix}="{NAMESPACES[prefix]}"' for prefix in prefixes.split())
    return (
        f'<s:Envelope xml:lang="en-US"{declared}><s:Header><a:Action>{escape(action)}</a:Action>'
        f"<a:MessageID>uuid:{new_id()}</a:MessageID><p:ActivityId>{new_id()}</p:ActivityId>"
        f"<a:To>{ANONYMOUS}</a:To>"
        f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )


def element(name: str, text: str, **attributes: str) -> str:
    """`<name attribute="...">text</name>`, both escaped."""
    given = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<{name}{given}>{escape(text)}</{name}>"
