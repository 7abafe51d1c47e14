"""A real portal for tests: `manage.py up` on a free port with a data directory of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from django.conf import settings

from tests.database import database_of

MANAGE = Path(settings.BASE_DIR) / "manage.py"


def product_environment(data: Path, **more: str) -> dict[str, str]:
    """This process's environment without what the tests put into it, and a database for this data."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPSPORTAL_", "DJANGO_", "Q_CLUSTER"))
    }
    return {**own, "OPSPORTAL_DATA": str(data), **database_of(data), **more}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], Any], *, seconds: float, what: str) -> Any:
    """The first true answer of `condition`; fails the test when none comes in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := condition():
            return answer
        time.sleep(0.1)
    raise AssertionError(f"after {seconds} s: {what}")


@dataclass
class Portal:
    """One `up`. Its processes are found by the data directory in their environment."""

    data: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return product_environment(self.data, **self.settings)

    @property
    def log(self) -> Path:
        return self.data.with_suffix(".out")

    def start(self, *arguments: str) -> None:
        command = [sys.executable, str(MANAGE), "up", "--port", str(self.port), *arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )

    def start_and_wait(self, *arguments: str) -> None:
        self.start(*arguments)
        wait_until(self.ready, seconds=120, what=f"the portal is not ready:\n{self.output()}")

    def output(self) -> str:
        """All that every `up` on this data has printed."""
        return self.log.read_text(encoding="utf-8")

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def ready(self) -> bool:
        try:
            return self.get("/readyz")[0] == 200
        except (OSError, HTTPException):
            return False

    def pids(self) -> set[int]:
        """Every living process that works on this data directory, `up` included."""
        marker = f"OPSPORTAL_DATA={self.data}".encode()
        return {pid for pid in _pids() if marker in _read(pid, "environ").split(b"\0")}

    def main_pid(self, *words: str) -> int:
        """The main process of a child: the one started by `up` itself with these words."""
        assert self.process is not None
        wanted = [word.encode() for word in words]
        for pid in self.pids():
            if parent(pid) == self.process.pid and all(word in command_line(pid) for word in wanted):
                return pid
        raise AssertionError(f"no child with {words}")

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def clean_up(self) -> None:
        """Whatever the test did, leave nothing behind."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)


def parent(pid: int) -> int:
    return int(_read(pid, "stat").rpartition(b")")[2].split()[1] or 0)


def state(pid: int) -> str:
    return _read(pid, "stat").rpartition(b")")[2].split()[0].decode()


def children(pid: int) -> list[int]:
    """In the order in which they were started."""
    return sorted(child for child in _pids() if _read(child, "stat") and parent(child) == pid)


def command_line(pid: int) -> list[bytes]:
    return _read(pid, "cmdline").split(b"\0")


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _read(pid: int, name: str) -> bytes:
    """Empty when the process has ended, also as a zombie that nobody waited for."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
