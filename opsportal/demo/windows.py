"""The demo's simulated Windows target: its port, its login, and how the inventory tells of it."""

from __future__ import annotations

import json
import secrets
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from opsportal.demo.hosts import ENVIRONMENT, HOST, LOGIN
from opsportal.simulated_windows import Logins, Settings

NAME = "simulated-windows"
GROUP = "simulated windows"
TAG = "simulated"
USUAL_PORT = 5985  # WinRM over plain HTTP, where every message is encrypted by the login
WHAT_IT_IS = "WinRM and its login are real, Windows and PowerShell are played"


@dataclass(frozen=True, slots=True)
class WindowsTarget:
    """The one simulated Windows target. It lets in LOGIN with `password`."""

    port: int
    password: str = field(repr=False)

    def settings(self, base: Path) -> Settings:
        """What it is started with; it remembers its services and files below `base`."""
        logins = Logins(users={LOGIN: self.password})
        return Settings(host=HOST, port=self.port, logins=logins, state=_folder(base))

    def inventory(self) -> dict[str, Any]:
        """Its entry for `import_inventory`."""
        return {
            "name": NAME,
            "address": HOST,
            "port": self.port,
            "platform": "windows",
            "transport": "winrm",
            "winrm": {"method": "ntlm", "https": False},
            "user": LOGIN,
            "password": self.password,
            "groups": [GROUP],
            "tags": [TAG],
            "environment": ENVIRONMENT,
        }


def make_windows(base: Path, *, wanted: int = USUAL_PORT) -> WindowsTarget:
    """Its folder below `base`, which must be new; on the port `wanted`, or another if that is taken."""
    folder = _folder(base)
    folder.mkdir(mode=0o700, parents=True)
    target = WindowsTarget(_free_port(wanted), secrets.token_urlsafe(18))
    file = folder / "target.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(asdict(target)))
    return target


def read_windows(base: Path) -> WindowsTarget:
    """The one that `make_windows` made."""
    return WindowsTarget(**json.loads((_folder(base) / "target.json").read_text()))


def _folder(base: Path) -> Path:
    return base / NAME


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        # As its server will: an earlier demo's connections that only wait for their end do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError:
            probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
