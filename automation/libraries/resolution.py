"""From what a person writes to addresses: names, ports, and all addresses of a name."""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from dataclasses import dataclass

from automation.libraries.deadlines import remaining
from automation.libraries.errors import ResolveFailed, TargetInvalid
from automation.libraries.types import Endpoint

NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")


@dataclass(frozen=True, slots=True)
class Address:
    """One address of a target, ready for a socket of its family."""

    family: socket.AddressFamily
    sockaddr: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]

    def __str__(self) -> str:
        return str(self.sockaddr[0])


def parse_target(target_host: str | Endpoint, *, default_port: int = 22) -> Endpoint:
    """The endpoint that `name`, `name:port`, an address, or `[IPv6]:port` means.

    Raises `TargetInvalid`. An `Endpoint` is returned as it is.
    """
    if isinstance(target_host, Endpoint):
        return target_host
    text = target_host.strip()
    host, port = _split_port(text)
    if not (_is_address(host) or NAME.fullmatch(host)):
        raise TargetInvalid(f"{text[:100]!r} is not the name or address of a target")
    if port is None:
        return Endpoint(host, default_port)
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise TargetInvalid(f"{port[:20]!r} is not a port")
    return Endpoint(host, int(port))


def _split_port(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise TargetInvalid(f"{text[:100]!r} is not an address in brackets")
        return host, rest[1:] if rest else None
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, port
    return text, None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def resolve(host: str, port: int, *, deadline: float) -> tuple[Address, ...]:
    """All addresses of a name, IPv4 and IPv6, in the order the system prefers.

    Raises `ResolveFailed`, also when the name servers do not answer before the deadline.
    """
    if _is_address(host):
        return _look_up(host, port, socket.AI_NUMERICHOST)
    # getaddrinfo cannot be interrupted, so it gets a thread of its own; the system's resolver ends it in
    # its own time when we no longer wait.
    lookup = _Lookup(host, port)
    lookup.start()
    lookup.join(remaining(deadline))
    return lookup.result()


class _Lookup(threading.Thread):
    def __init__(self, host: str, port: int) -> None:
        super().__init__(name=f"resolve-{host}", daemon=True)
        self._host = host
        self._port = port
        self._found: tuple[Address, ...] | None = None
        self._failed: ResolveFailed | None = None

    def run(self) -> None:
        try:
            self._found = _look_up(self._host, self._port, 0)
        except ResolveFailed as failed:
            self._failed = failed

    def result(self) -> tuple[Address, ...]:
        if self._failed is not None:
            raise self._failed
        if self._found is None:
            raise ResolveFailed(f"The name servers did not answer for {self._host} in time")
        return self._found


def _look_up(host: str, port: int, flags: int) -> tuple[Address, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError) as fault:
        hint = fault.strerror if isinstance(fault, OSError) and fault.strerror else "The name is not valid"
        raise ResolveFailed(f"{host} has no address", cause_hint=hint) from None
    unique = dict.fromkeys(Address(family, sockaddr) for family, _, _, _, sockaddr in found)
    return tuple(unique)
