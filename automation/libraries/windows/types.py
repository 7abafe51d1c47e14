"""How a Windows target is reached and logged in to, and what PowerShell tells beside its output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from automation.libraries.types import Credentials, Endpoint
from credentials.secret import Secret

Method = Literal["negotiate", "ntlm", "kerberos", "certificate", "basic", "credssp"]
HTTPS_PORT = 5986


@dataclass(frozen=True, slots=True)
class WinRMEndpoint(Endpoint):
    """Where WinRM listens on a target, how the login goes, and what proves that it is the right machine.

    Over HTTPS (the default) the certificate must come from a trusted authority and hold the name `host`:
    the system's authorities, or those of `authority` (PEM) alone. With `host_keys` the certificate must be
    one of them instead; each is `x509-sha256 <hex>` (the certificate) or `spki-sha256 <hex>` (its public
    key). Over plain HTTP only methods that encrypt every message are used. `encrypt` wants that over HTTPS
    too.

    `method` `negotiate` lets the target choose Kerberos or NTLM. `service_name` is the name by which
    Kerberos knows the target, where that is not `host`. `credssp` hands the password to the target, which
    may use it elsewhere: only on request. `proxy` is not used unless given: `http://name:port`.
    """

    port: int = HTTPS_PORT
    https: bool = True
    method: Method = "negotiate"
    authority: str = field(default="", repr=False)
    encrypt: bool = False
    service_name: str = ""
    proxy: str = ""

    @property
    def url(self) -> str:
        """The address of the WS-Management service."""
        return f"{'https' if self.https else 'http'}://{Endpoint.__str__(self)}/wsman"

    @property
    def sealed(self) -> bool:
        """Every message is encrypted by the login's own keys."""
        return self.method not in ("basic", "certificate") and (self.encrypt or not self.https)


@dataclass(frozen=True, slots=True)
class WindowsCredentials(Credentials):
    """Who logs in: `name`, `DOMAIN\\name` or `name@domain` with a password, or by one of these instead.

    `keytab` is a Kerberos key table in base64, used with `name@REALM`. `client_certificate` is PEM text
    that goes with `private_key`.
    """

    keytab: Secret | None = field(default=None, repr=False)
    client_certificate: str = field(default="", repr=False)


RecordKind = Literal["error", "warning", "verbose", "debug", "information"]


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that PowerShell told beside the script's output.

    Of an error it is one line: powershell.exe writes each line of its text as an element of its own, four for
    most errors, and nothing tells where the next error begins.
    """

    kind: RecordKind
    text: str


Phase = Literal["resolve", "tcp", "tls", "protocol", "credential", "shell"]
OnPhase = Callable[[Phase], None]
"""Told when a phase begins."""

OnRecord = Callable[[Record], None]
"""Receives records as they come, in the thread that does the I/O."""
