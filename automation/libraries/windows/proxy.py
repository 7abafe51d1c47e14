"""Through a proxy that was asked for: HTTPS alone, by CONNECT, so that the proxy sees no message."""

from __future__ import annotations

import re
import socket

from automation.libraries.deadlines import remaining
from automation.libraries.errors import ConnectUnreachable
from automation.libraries.types import Endpoint
from automation.libraries.windows.types import WinRMEndpoint

LONGEST_GREETING = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")


def tunnel(wire: socket.socket, endpoint: WinRMEndpoint, *, deadline: float) -> None:
    """Have the proxy at the other end connect us with the target. Raises `ConnectUnreachable`."""
    place = Endpoint.__str__(endpoint)
    answer = b""
    try:
        wire.settimeout(max(0.001, remaining(deadline)))
        wire.sendall(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode("latin-1"))
        while b"\r\n\r\n" not in answer and len(answer) < LONGEST_GREETING:
            wire.settimeout(max(0.001, remaining(deadline)))
            # One byte at a time: what follows is the target's own.
            piece = wire.recv(1)
            if not piece:
                break
            answer += piece
    except OSError:
        raise ConnectUnreachable(f"The proxy did not connect us with {place}") from None
    status = _STATUS.match(answer)
    if status is None or not status.group(1).startswith(b"2"):
        raise ConnectUnreachable(f"The proxy refused to connect us with {place}")
