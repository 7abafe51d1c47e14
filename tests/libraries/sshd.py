"""A real OpenSSH server on loopback, with keys and settings of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from automation.libraries.types import Credentials, Endpoint
from credentials.secret import Secret

SETTINGS = """\
ListenAddress 0.0.0.0
ListenAddress ::1
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 500
MaxSessions 10
PrintMotd no
LogLevel VERBOSE
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "", *, form: str = "") -> Path:
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path), "-C", "test"]
    if kind == "rsa":
        command += ["-b", "2048"]  # half the size takes a tenth of the time to make
    if form:
        command += ["-m", form]
    subprocess.run(command, check=True)
    return path


def sign(authority: Path, public_key: Path, *names: str, host: bool = False, valid: str = "-1h:+1h") -> Path:
    """A certificate of `public_key`, as ssh-keygen makes it; the file it is in."""
    command = ["ssh-keygen", "-q", "-s", str(authority), "-I", "test", "-V", valid]
    command += ["-n", ",".join(names)] if names else []
    subprocess.run([*command, *(["-h"] if host else []), str(public_key)], check=True)
    return public_key.with_name(f"{public_key.stem}-cert.pub")


@dataclass
class Sshd:
    """One server process; its log is a file that tests may read."""

    folder: Path
    extra: str = ""
    prepare: Callable[[Path], str] | None = None
    """Called once the host keys are there; what it returns joins the configuration."""
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        binary = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")
        if binary is None:
            raise RuntimeError("these tests need OpenSSH's sshd: apt-get install openssh-server")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        for kind in ("ed25519", "ecdsa", "rsa"):
            make_key(self.folder / f"host_{kind}", kind)
        make_key(self.folder / "login")
        (self.folder / "authorized_keys").write_text((self.folder / "login.pub").read_text())
        self.home = self.folder / "home"  # so that no .bashrc of this machine takes part
        self.home.mkdir()
        if self.prepare is not None:
            self.extra += f"\n{self.prepare(self.folder)}"
        config = self.folder / "sshd_config"
        host_keys = "".join(f"HostKey {self.folder}/host_{kind}\n" for kind in ("ed25519", "ecdsa", "rsa"))
        config.write_text(
            f"Port {self.port}\n{self.extra}\n{SETTINGS}{host_keys}"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nPidFile {self.folder}/pid\n"
            f"SetEnv HOME={self.home} PATH={self.home}/bin:{os.environ['PATH']}\n"
        )
        self.log = self.folder / "log"
        self._process = subprocess.Popen([binary, "-D", "-f", str(config), "-E", str(self.log)])
        self._wait_until_it_listens()

    def _wait_until_it_listens(self) -> None:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self._process.poll() is not None:
                raise RuntimeError(f"sshd did not start: {self.log.read_text()}")
            time.sleep(0.02)
        raise RuntimeError("sshd does not listen")

    def authorize(self, public_key: Path) -> None:
        with (self.folder / "authorized_keys").open("a") as authorized:
            authorized.write(public_key.read_text())

    def host_key(self, kind: str = "ed25519") -> str:
        return " ".join((self.folder / f"host_{kind}.pub").read_text().split()[:2])

    def endpoint(self, host: str = "127.0.0.1", **changes: tuple[str, ...]) -> Endpoint:
        return Endpoint(host, self.port, changes.get("host_keys", (self.host_key(),)))

    @property
    def credentials(self) -> Credentials:
        return Credentials("root", private_key=Secret((self.folder / "login").read_text()))

    @property
    def pid(self) -> int:
        """The listener's; its children are the connections."""
        return self._process.pid

    @property
    def logins(self) -> int:
        """Logins that the server itself has counted."""
        return self.log.read_text().count("Accepted publickey")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
