"""An installation as an administrator makes it: `up`, people and tokens by command, a file of targets."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiworkflows.automation_client import AutomationClient
from tests.opsportal.portal import MANAGE, Portal

PASSWORD = "a password for tests only"


class Installation:
    """A running portal with people in it; every door used is one that administrators have."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.portal = Portal(data, settings=settings)
        self.data = data

    def start(self) -> None:
        self.portal.start_and_wait()
        for name, role in (
            ("robot", "operator"),
            ("olivia", "operator"),
            ("anna", "approver"),
            ("vera", "viewer"),
        ):
            self.manage("create_user", name, "--role", role, "--password-stdin", stdin=f"{PASSWORD}\n")

    def manage(self, *words: str, stdin: str = "", status: int = 0) -> str:
        """Run an administrator's command; its standard output."""
        done = subprocess.run(
            [sys.executable, str(MANAGE), *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            env=self.portal.environment,
        )
        assert done.returncode == status, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def token(self, user: str, kind: str, *scopes: str) -> str:
        options = [option for scope in scopes for option in ("--scope", scope)]
        return self.manage("create_token", f"{user} {kind}", "--user", user, "--kind", kind, *options).strip()

    def client(self, token: str) -> AutomationClient:
        return AutomationClient(f"http://127.0.0.1:{self.portal.port}", token)

    def load(self, inventory: Mapping[str, Any]) -> None:
        """Import an inventory as the test hosts print it (role `web` becomes a group), trusting its keys."""
        file = self.data / "inventory.json"
        file.write_text(json.dumps(inventory))
        self.manage("import_inventory", str(file), "--trust-host-keys")
