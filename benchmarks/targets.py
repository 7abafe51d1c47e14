"""Targets: one sshd process for each, on a loopback address and with a host key of its own.

The same host key would be the same machine, and so the same lock, to changing steps. For steps that only
read, one sshd may stand for several targets.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from benchmarks import processor_time

SETTINGS = """\
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 500
PrintMotd no
PrintLastLog no
LogLevel ERROR
"""


@dataclass(frozen=True)
class Place:
    """Where one target listens, and its public key."""

    name: str
    address: str
    port: int
    host_key: str


class Farm:
    """`count` targets that all let the same key in, for as long as the `with` block lasts.

    Each sshd is `addresses` of them.
    """

    def __init__(self, folder: Path, count: int, *, addresses: int = 1) -> None:
        self.folder = folder
        self.login = getpass.getuser()
        self.key = folder / "login"
        self._sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")
        self._processes: list[subprocess.Popen[bytes]] = []
        self._count = count
        self._addresses = addresses
        self.places: list[Place] = []

    def __enter__(self) -> Farm:
        if self._sshd is None:
            raise SystemExit("The benchmark needs OpenSSH's sshd: apt-get install openssh-server")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        (self.folder / "home").mkdir(parents=True)
        (self.folder / "authorized_keys").write_text(_make_key(self.key) + "\n", encoding="utf-8")
        port = _free_port()
        try:
            for first in range(1, self._count + 1, self._addresses):
                numbers = range(first, min(first + self._addresses, self._count + 1))
                self.places += self._start(numbers, port)
            for place in self.places:
                _wait_until_open(place)
        except BaseException:
            self._stop()
            raise
        known = "".join(f"[{p.address}]:{p.port} {p.host_key}\n" for p in self.places)
        (self.folder / "known_hosts").write_text(known, encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    @property
    def pids(self) -> set[int]:
        return {process.pid for process in self._processes}

    def cpu(self) -> float:
        """CPU seconds that the targets have used so far, the commands run on them included."""
        return processor_time.of_trees(self.pids)

    def _start(self, numbers: range, port: int) -> list[Place]:
        """One sshd, for the targets of these numbers."""
        name = f"server-{numbers[0]}"
        host_key = _make_key(self.folder / f"{name}.key")
        places = [
            Place(f"target-{number:03d}", f"127.77.{number // 250}.{number % 250 + 1}", port, host_key)
            for number in numbers
        ]
        listening = "".join(f"ListenAddress {place.address}:{port}\n" for place in places)
        config = self.folder / f"{name}.conf"
        config.write_text(
            f"{SETTINGS}{listening}HostKey {self.folder}/{name}.key\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nPidFile none\n"
            f"SetEnv HOME={self.folder}/home\n",
            encoding="utf-8",
        )
        command = [str(self._sshd), "-D", "-e", "-f", str(config)]
        self._processes.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        return places

    def _stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait()


def _make_key(path: Path) -> str:
    """A new ed25519 key in OpenSSH's format at `path`; its public line."""
    key = ed25519.Ed25519PrivateKey.generate()
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    path.touch(mode=0o600)
    path.write_bytes(text)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return public.decode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_open(place: Place) -> None:
    for _ in range(400):
        with socket.socket() as probe:
            if probe.connect_ex((place.address, place.port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"sshd on {place.address} does not listen")
