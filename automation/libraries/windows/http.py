"""One TCP connection that carries HTTP POSTs, each bounded in time and size. No proxy unless asked for."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from automation.libraries.deadlines import remaining

LARGEST_ANSWER = 8 * 1024 * 1024
"""Bytes of an answer's body; Windows sends 500 KB at the most unless it is set up otherwise."""


class LinkBroken(Exception):
    """The TCP connection ended or was silent for too long. `sent`: the request may have arrived."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.sent = sent


class AnswerBroken(Exception):
    """What came is no answer in HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body of an answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "")


class _Reading(io.RawIOBase):
    """Reads of a socket that all share one deadline: a peer that drips bytes gains nothing by it."""

    def __init__(self, wire: socket.socket, deadline: float) -> None:
        super().__init__()
        self._wire = wire
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        left = remaining(self._deadline)
        if not left:
            raise TimeoutError
        self._wire.settimeout(left)
        return self._wire.recv_into(buffer)


class _Source:
    """As much of a socket as http.client asks for."""

    def __init__(self, reading: _Reading) -> None:
        self._reading = reading

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._reading, 64 * 1024)


class Link:
    """A connected socket, plain or TLS, for one thread."""

    def __init__(self, wire: socket.socket, *, name: str, path: str) -> None:
        self._wire = wire
        self._name = name
        self._path = path
        self.open = True

    def post(self, body: bytes, headers: Mapping[str, str], *, deadline: float) -> Answer:
        """Send and wait for the answer. Raises `LinkBroken` and `AnswerBroken`; then the link is closed."""
        lines = [f"POST {self._path} HTTP/1.1", f"Host: {self._name}", f"Content-Length: {len(body)}"]
        lines += [f"{key}: {value}" for key, value in headers.items()]
        # In one piece: two small packets would wait for each other's acknowledgement.
        request = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
        try:
            self._wire.settimeout(max(0.001, remaining(deadline)))
            self._wire.sendall(request)
        except (OSError, ValueError) as fault:
            self.close()
            # The last bytes may have gone out; a broken pipe tells only that somebody hung up.
            raise LinkBroken(_words(fault), sent=True) from None
        return self._answer(deadline)

    def _answer(self, deadline: float) -> Answer:
        source = _Source(_Reading(self._wire, deadline))
        response = http.client.HTTPResponse(source, method="POST")  # type: ignore[arg-type]
        try:
            response.begin()
            body = response.read(LARGEST_ANSWER + 1)
        except (http.client.RemoteDisconnected, http.client.IncompleteRead, OSError, ValueError) as fault:
            self.close()
            raise LinkBroken(_words(fault), sent=True) from None
        except http.client.HTTPException:
            self.close()
            raise AnswerBroken("what came is not HTTP") from None
        if len(body) > LARGEST_ANSWER:
            self.close()
            raise AnswerBroken("the answer is too large")
        wanted = response.headers.get("Content-Length")
        if wanted is not None and wanted.isdigit() and len(body) < int(wanted):
            self.close()
            raise LinkBroken("the answer stopped in the middle", sent=True)
        if response.will_close:
            self.close()
        return Answer(response.status, response.headers, body)

    @property
    def binding(self) -> ssl.SSLSocket | None:
        """The TLS connection, where this is one."""
        return self._wire if isinstance(self._wire, ssl.SSLSocket) else None

    def fresh(self) -> bool:
        """No end of the connection has arrived."""
        if not self.open:
            return False
        try:
            self._wire.settimeout(0)
            # TLS sockets cannot peek; whatever comes unasked makes the connection unfit.
            self._wire.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        except OSError:
            return False
        return False

    def cut(self) -> None:
        """End both directions at once: whoever reads wakes up. The socket itself stays open."""
        try:
            # A TLS socket's own shutdown would wait for whoever reads.
            socket.socket.shutdown(self._wire, socket.SHUT_RDWR)
        except OSError:
            return  # it was not connected any more

    def close(self) -> None:
        """Hang up. Safe to repeat."""
        self.open = False
        self._wire.close()


def _words(fault: Exception) -> str:
    if isinstance(fault, TimeoutError):
        return "the target did not answer in time"
    return "the connection ended"
