"""How one simulated Windows target is set up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

NAME = "SIMULATED-WIN"
DOMAIN = "SIMULATED"
VENDOR = "OpsPortal simulated Windows target (no Microsoft product)"
VERSION = "OS: 0.0.0 SP: 0.0 Stack: 3.0 (simulated)"
BANNER = "OpsPortal-simulated-Windows/1.0"


@dataclass(frozen=True)
class Quotas:
    """The limits of a machine. The defaults are those of Windows Server 2016 and newer."""

    shells_per_user: int = 30
    operations_per_user: int = 1500
    envelope: int = 512_000
    """Bytes of a request, and of an answer."""
    idle_timeout: float = 7200.0
    """Seconds after which an unused shell is closed, where its client named none."""
    longest_operation: float = 60.0
    """Seconds; a longer OperationTimeout is cut to it."""


@dataclass(frozen=True)
class Logins:
    """Who may log in, and how."""

    users: Mapping[str, str] = field(default_factory=lambda: {"ops": "Simulated-1"})
    """Names and passwords."""
    basic: bool = False
    negotiate: bool = True
    """NTLM, and Kerberos where a keytab is given."""
    credssp: bool = False
    keytab: Path | None = None
    """Keys of the service `HTTP/<name>`."""
    certificates: Mapping[str, str] = field(default_factory=dict)
    """User names by the common name of a client certificate."""
    bound_to_tls: bool = False
    """Refuse NTLM, Kerberos and CredSSP over TLS whose token is not bound to this very TLS connection."""
    allow_unencrypted: bool = False
    """Take messages in clear over plain HTTP, which Windows refuses by default too."""


@dataclass(frozen=True)
class Certificate:
    """Files in PEM. `clients` is the authority of client certificates."""

    chain: Path
    key: Path
    clients: Path | None = None


@dataclass(frozen=True)
class Settings:
    """The defaults are those of Windows: no Basic, nothing in clear."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: any that is free."""
    name: str = NAME
    logins: Logins = field(default_factory=Logins)
    quotas: Quotas = field(default_factory=Quotas)
    certificate: Certificate | None = None
    """With it the target speaks HTTPS, and only that."""
    client_ids: Literal["honour", "ignore", "refuse"] = "honour"
    """What it makes of a ShellId or CommandId that the client chose."""
    reboot_seconds: float = 1.0
    """How long nothing listens after Restart-Computer."""
    oracle: Path | None = None
    """A file that gets one line of JSON for each effect, so that another process can count them."""
    state: Path | None = None
    """A directory for what the machine remembers (services, files, boot time), kept over restarts."""

    @property
    def tls(self) -> bool:
        return self.certificate is not None
