"""The product as people start it, `manage.py up`, and its processes by the part they play."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MANAGE = ROOT / "manage.py"
CLUSTERS = ("control", "execution")
POOL = 2  # workers of each cluster, as the settings have it


class PortalError(Exception):
    """The portal did not do what every start of it does."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the portal: `role` is web, main, sentinel, worker, monitor or pusher."""

    role: str
    cluster: str
    pid: int
    session: int
    threads: int


class Portal:
    """One installation in a directory of its own, on a free port."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._said = (data / "up.said").open("ab")

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.process = subprocess.Popen(
            [sys.executable, str(MANAGE), "up", *self._options()],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OPSPORTAL_DATA": str(self.data)},
        )
        self.wait_ready(60)

    def _options(self) -> list[str]:
        return ["--port", str(self.port), "--data", str(self.data), "--workers", "2"]

    def wait_ready(self, seconds: float) -> None:
        """Until `/readyz` says 200."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.ready():
                return
            time.sleep(0.3)
        raise PortalError(f"not ready after {seconds:g} s; see {self.data}/up.said and {self.data}/logs")

    def ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz", headers={"Host": "localhost"})
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        """SIGKILL the supervisor itself; everything else must end with it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def end(self, seconds: float = 30) -> float:
        """Ask it to end as Ctrl-C does; how long that took. Raises PortalError after `seconds`."""
        if self.process is None:
            return 0.0
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise PortalError(f"`up` did not end within {seconds:g} s of SIGTERM") from None
        return time.monotonic() - begun

    def parts(self) -> list[Part]:
        """All its processes that live now, by role."""
        if self.process is None:
            return []
        table = _processes()
        found: list[Part] = []
        for main in _children(table, self.process.pid):
            words = _words(main)
            if "web" in words:
                found.append(_part(table, "web", "web", main))
                continue
            cluster = next((name for name in CLUSTERS if name in words), None)
            if cluster is None or "opsworker" not in words:
                continue
            found.append(_part(table, "main", cluster, main))
            for sentinel in _children(table, main):
                found.append(_part(table, "sentinel", cluster, sentinel))
                found += _pool(table, cluster, sentinel)
        return found

    def session(self, main: int) -> list[int]:
        """Every process of the cluster whose main process is `main`."""
        return [part.pid for part in self.parts() if part.session == main]

    def left_behind(self) -> list[int]:
        """Living processes that were started for this installation, other than this one."""
        mark = f"OPSPORTAL_DATA={self.data}".encode()
        found = []
        for pid in _processes():
            try:
                environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark in environment and pid != os.getpid() and b"python" in _command(pid):
                found.append(pid)
        return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class _Stat:
    parent: int
    session: int
    threads: int
    began: int


def _processes() -> dict[int, _Stat]:
    table = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] not in "ZX":
            table[int(entry.name)] = _Stat(int(fields[1]), int(fields[3]), int(fields[17]), int(fields[19]))
    return table


def _children(table: dict[int, _Stat], parent: int) -> list[int]:
    """In the order of their start."""
    mine = [pid for pid, stat in table.items() if stat.parent == parent]
    return sorted(mine, key=lambda pid: (table[pid].began, pid))


def _pool(table: dict[int, _Stat], cluster: str, sentinel: int) -> Iterator[Part]:
    # A sentinel starts its workers, then the monitor, then the pusher; those it replaced come last.
    roles = [*["worker"] * POOL, "monitor", "pusher"]
    for number, pid in enumerate(_children(table, sentinel)):
        yield _part(table, roles[number] if number < len(roles) else "worker", cluster, pid)


def _part(table: dict[int, _Stat], role: str, cluster: str, pid: int) -> Part:
    return Part(role, cluster, pid, table[pid].session, table[pid].threads)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _words(pid: int) -> list[str]:
    return _command(pid).decode(errors="replace").split("\0")
