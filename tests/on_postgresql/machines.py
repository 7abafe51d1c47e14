"""Several machines of one installation: what they share is the database and the keys, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import psycopg

from aiworkflows.automation_client import AutomationClient
from opsportal.data_directory import prepare
from tests.libraries.sshd import Sshd
from tests.opsportal.portal import MANAGE, Portal, free_port, wait_until
from tests.postgresql import PostgreSQL


def environment(data: Path, database: str) -> dict[str, str]:
    """This process's, without what the tests put into it."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("OPSPORTAL_", "DJANGO_", "Q_CLUSTER"))}
    few = {"OPSPORTAL_CONTROL_WORKERS": "1", "OPSPORTAL_EXECUTION_WORKERS": "1"}
    return own | few | {"OPSPORTAL_DATA": str(data), "DATABASE_URL": database}


class Machine:
    """A web process and a supervisor with workers, as the units of `deploy/systemd` start them."""

    def __init__(self, data: Path, database: str, keys: Path) -> None:
        self.data = data
        data.mkdir(mode=0o700)
        (data / ".env").touch(mode=0o600)
        (data / ".env").write_bytes(keys.read_bytes())
        self.port = free_port()
        self.log = data / "log"
        self._environment = environment(data, database)
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        commands = (["web", "--port", str(self.port)], ["workers", "--control", "1", "--execution", "1"])
        with self.log.open("ab") as log:
            self._processes = [
                subprocess.Popen(
                    [sys.executable, str(MANAGE), *command], env=self._environment, stdout=log, stderr=log
                )
                for command in commands
            ]

    def readiness(self) -> tuple[int, dict[str, Any]]:
        """Status and answer of /readyz; (0, {}) where nobody answers."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, HTTPException):
            return 0, {}
        finally:
            connection.close()

    def ready(self) -> bool:
        return self.readiness()[0] == 200

    def pids(self) -> set[int]:
        return Portal(self.data).pids()

    def worker_ids(self) -> set[str]:
        """The names under which its workers hold leases."""
        found = set()
        for pid in self.pids():
            try:
                content = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            found |= {part.partition(b"=")[2].decode() for part in content if part.startswith(NAME)}
        return found

    def fail(self) -> None:
        """As when its power goes: everything, at once, without a last word."""
        for pid in sorted(self.pids()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for process in self._processes:
            process.wait(10)

    def client(self, token: str) -> AutomationClient:
        return AutomationClient(f"http://127.0.0.1:{self.port}", token)


NAME = b"OPSPORTAL_WORKER_ID="


class Site:
    """One database, two machines, and targets that write down what was started on them."""

    def __init__(self, folder: Path, server: PostgreSQL, targets: list[Sshd]) -> None:
        self.server = server
        self.targets = targets
        self.database = server.add_database("opsportal")
        prepare(folder / "first", {})
        self._first = environment(folder / "first", self.database)
        keys = folder / "first" / ".env"
        inventory = folder / "inventory.json"
        inventory.write_text(json.dumps({"hosts": [self._entry(n, t) for n, t in enumerate(targets)]}))
        code = f"from tests.on_postgresql.seed import seed; seed({str(inventory)!r})"
        self.token = self._manage("shell", "--no-imports", "-c", code).strip()
        self.machines = [Machine(folder / name, self.database, keys) for name in ("north", "south")]

    def _manage(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, str(MANAGE), *words],
            env=self._first,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self) -> None:
        for machine in self.machines:
            machine.start()
        for machine in self.machines:
            wait_until(machine.ready, seconds=150, what="a machine is not ready")

    def end(self) -> None:
        for machine in self.machines:
            machine.fail()

    def ask(self, question: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of the database, read by nothing of the product."""
        with psycopg.connect(self.database) as connection:
            return connection.execute(question.encode(), values).fetchall()

    def journal(self) -> list[list[str]]:
        """What was started on each target, in that order."""
        files = [target.home / "journal" for target in self.targets]
        return [file.read_text().split() if file.exists() else [] for file in files]

    def _entry(self, number: int, target: Sshd) -> dict[str, Any]:
        return {
            "name": f"web{number}",
            "address": "127.0.0.1",
            "port": target.port,
            "user": "root",
            "private_key": str(self.targets[0].folder / "login"),
            "host_key": target.host_key(),
            "groups": ["web"],
        }


@contextmanager
def site(folder: Path, *, targets: int) -> Iterator[Site]:
    """Two machines that are ready; nothing of them is left afterwards."""
    server = PostgreSQL.in_new_folder()
    farm: list[Sshd] = []
    try:
        server.start()
        for number in range(targets):
            place = folder / f"target-{number}"
            place.mkdir()
            farm.append(Sshd(place))
            farm[-1].authorize(farm[0].folder / "login.pub")
        made = Site(folder, server, farm)
        try:
            made.start()
            yield made
        finally:
            made.end()
    finally:
        for target in farm:
            target.stop()
        server.remove()
