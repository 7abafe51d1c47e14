"""Messages that travel encrypted inside of plain HTTP: `multipart/encrypted`."""

from __future__ import annotations

import re
import struct

import spnego
import spnego.exceptions

SPNEGO = "application/HTTP-SPNEGO-session-encrypted"
KERBEROS = "application/HTTP-Kerberos-session-encrypted"
CREDSSP = "application/HTTP-CredSSP-session-encrypted"
BOUNDARY = b"--Encrypted Boundary"
OCTETS = b"\tContent-Type: application/octet-stream\r\n"
SIXTEEN_KB = 16_384  # CredSSP seals no more at once
_PROTOCOL = re.compile(r'protocol="(application/HTTP-(?:SPNEGO|Kerberos|CredSSP)-session-encrypted)"')
_LENGTH = re.compile(rb"Length=(\d+)")


class Unsealable(Exception):
    """Windows answers it with HTTP 400 and no word why."""


def protocol_of(content_type: str) -> str:
    """The protocol of a sealed body; empty for one in clear. Raises Unsealable."""
    if not content_type.startswith(("multipart/encrypted", "multipart/x-multi-encrypted")):
        return ""
    found = _PROTOCOL.search(content_type)
    if found is None:
        raise Unsealable("no protocol that is known")
    return found.group(1)


def unseal(context: spnego.ContextProxy | None, body: bytes) -> bytes:
    """Raises Unsealable."""
    if context is None or not context.complete:
        raise Unsealable("nobody logged in on this connection")
    parts = body.removesuffix(b"--\r\n").removesuffix(BOUNDARY).split(BOUNDARY + b"\r\n")
    if len(parts) < 3 or len(parts) % 2 == 0:
        raise Unsealable("not pairs of parts")
    return b"".join(_part(context, parts[at], parts[at + 1]) for at in range(1, len(parts), 2))


def _part(context: spnego.ContextProxy, head: bytes, payload: bytes) -> bytes:
    length, sealed = _LENGTH.search(head), payload.removeprefix(OCTETS)
    if length is None or len(sealed) < 4:
        raise Unsealable("no length")
    (split,) = struct.unpack("<i", sealed[:4])
    try:
        message = context.unwrap_winrm(sealed[4 : 4 + split], sealed[4 + split :])
    except (spnego.exceptions.SpnegoError, ValueError) as error:
        raise Unsealable(str(error)) from error
    if len(message) != int(length.group(1)):
        raise Unsealable("another length than was said")
    return message


def seal(context: spnego.ContextProxy, protocol: str, message: bytes) -> tuple[str, bytes]:
    """Content type and body."""
    kind, pieces = "multipart/encrypted", [message]
    if protocol == CREDSSP and len(message) > SIXTEEN_KB:
        kind = "multipart/x-multi-encrypted"
        pieces = [message[at : at + SIXTEEN_KB] for at in range(0, len(message), SIXTEEN_KB)]
    body = b"".join(_sealed(context, protocol, piece) for piece in pieces) + BOUNDARY + b"--\r\n"
    return f'{kind};protocol="{protocol}";boundary="Encrypted Boundary"', body


def _sealed(context: spnego.ContextProxy, protocol: str, piece: bytes) -> bytes:
    wrapped = context.wrap_winrm(piece)
    head = (
        f"\r\n\tContent-Type: {protocol}\r\n"
        "\tOriginalContent: type=application/soap+xml;charset=UTF-8;"
        f"Length={len(piece) + wrapped.padding_length}\r\n"
    )
    length = struct.pack("<i", len(wrapped.header))
    return BOUNDARY + head.encode() + BOUNDARY + b"\r\n" + OCTETS + length + wrapped.header + wrapped.data
