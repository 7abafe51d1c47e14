"""A real portal that knows one target, an sshd of the test's own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from opsportal.data_directory import prepare
from tests.libraries.sshd import Sshd
from tests.opsportal.portal import MANAGE, Portal


class OneTarget:
    """A running portal with one trusted target in the group web, and `token` for whoever may run things."""

    def __init__(self, data: Path, target: Sshd) -> None:
        self.data = data
        self.target = target
        self.portal = Portal(self.data)
        self.token = ""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.portal.port}"

    def start(self) -> None:
        entry = {
            "name": "web1",
            "address": "127.0.0.1",
            "port": self.target.port,
            "user": "root",
            "private_key": str(self.target.folder / "login"),
            "host_key": self.target.host_key(),
            "groups": ["web"],
        }
        inventory = self.target.folder / "inventory.json"
        inventory.write_text(json.dumps({"hosts": [entry]}))
        prepare(self.data, {})
        code = f"from tests.on_postgresql.seed import seed; seed({str(inventory)!r})"
        command = [sys.executable, str(MANAGE), "shell", "--no-imports", "-c", code]
        done = subprocess.run(
            command, env=self.portal.environment, capture_output=True, text=True, check=True, timeout=120
        )
        self.token = done.stdout.strip()
        self.portal.start_and_wait()

    def end(self) -> None:
        if self.portal.process is not None:
            self.portal.end()
        self.portal.clean_up()

    @property
    def journal(self) -> list[str]:
        """The steps that ran on the target, in that order."""
        file = self.target.home / "journal"
        return file.read_text().split() if file.exists() else []
