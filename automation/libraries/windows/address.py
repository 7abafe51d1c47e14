"""From what a person writes to where WinRM listens."""

from __future__ import annotations

import re

from automation.libraries.errors import TargetInvalid
from automation.libraries.resolution import parse_target
from automation.libraries.types import Endpoint
from automation.libraries.windows.types import HTTPS_PORT, WinRMEndpoint

HTTP_PORT = 5985
_URL = re.compile(r"(?i)(https?)://([^/?#@]+)(/wsman/?|/)?")


def parse_windows_target(target_host: str | Endpoint) -> WinRMEndpoint:
    """The endpoint that a name, `name:port`, an address, `[IPv6]:port` or a URL of WinRM means.

    HTTPS on port 5986 is the default; port 5985 alone means plain HTTP, in which every message is encrypted
    by the login. Raises `TargetInvalid`, also for a URL with another path, a query, or a login in it.
    """
    if isinstance(target_host, WinRMEndpoint):
        return target_host
    if isinstance(target_host, Endpoint):
        https = target_host.port != HTTP_PORT
        return WinRMEndpoint(target_host.host, target_host.port, target_host.host_keys, https=https)
    text = target_host.strip()
    if "://" not in text:
        plain = parse_target(text, default_port=HTTPS_PORT)
        return WinRMEndpoint(plain.host, plain.port, https=plain.port != HTTP_PORT)
    found = _URL.fullmatch(text)
    if found is None:
        raise TargetInvalid("Only http://NAME:PORT/wsman and https://NAME:PORT/wsman are addresses of WinRM")
    https = found.group(1).lower() == "https"
    plain = parse_target(found.group(2), default_port=HTTPS_PORT if https else HTTP_PORT)
    return WinRMEndpoint(plain.host, plain.port, https=https)
