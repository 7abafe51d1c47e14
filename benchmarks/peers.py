"""What people use instead: `xargs ssh`, and Ansible."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import processor_time
from benchmarks.targets import Farm, Place

KEX = "curve25519-sha256"
# The newest line of releases that runs on Python 3.11.
ANSIBLE = "ansible-core==2.19.14"
TIMEOUT = 300


def _options(farm: Farm) -> list[str]:
    # Debian 12's default key exchange costs ten times the CPU: the fair peer is the fast one.
    given = {
        "KexAlgorithms": KEX,
        "UserKnownHostsFile": farm.folder / "known_hosts",
        "GlobalKnownHostsFile": "/dev/null",
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
    }
    return [word for name, value in given.items() for word in ("-o", f"{name}={value}")]


def ssh_command(farm: Farm) -> list[str]:
    """`ssh` as far as the login, to whose end the address comes."""
    return ["ssh", "-F", "none", "-i", str(farm.key), "-p", str(farm.places[0].port), *_options(farm)]


class XargsSsh:
    """`xargs -P` with one `ssh` for each target."""

    name = "xargs ssh"

    def __init__(self, farm: Farm, *, width: int) -> None:
        self._command = ["xargs", "-P", str(width), "-I{}", *ssh_command(farm), f"{farm.login}@{{}}"]
        self._addresses = "".join(f"{place.address}\n" for place in farm.places)

    def run(self, script: str) -> None:
        """Raises CalledProcessError when a single target failed."""
        subprocess.run(
            [*self._command, script],
            input=self._addresses,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
            timeout=TIMEOUT,
        )

    def clean_up(self) -> None:
        """It leaves nothing behind."""


class Masters:
    """One ControlMaster for each target, open for as long as the `with` block lasts."""

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self._folder = farm.folder / "masters"

    def __enter__(self) -> Masters:
        self._folder.mkdir(mode=0o700)
        for place in self._farm.places:
            master = [*ssh_command(self._farm), "-S", self._socket(place), "-M", "-N", "-f"]
            subprocess.run(
                [*master, f"{self._farm.login}@{place.address}"],
                check=True,
                timeout=TIMEOUT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # a pipe would stay open for as long as the master lives
            )
        return self

    def __exit__(self, *_: object) -> None:
        for place in self._farm.places:
            subprocess.run(
                [*ssh_command(self._farm), "-S", self._socket(place), "-O", "exit", place.address],
                check=True,
                capture_output=True,
                timeout=TIMEOUT,
            )

    def command(self, place: Place, script: str) -> list[str]:
        """The command line that runs a script on this target, over its open connection."""
        login = f"{self._farm.login}@{place.address}"
        return [*ssh_command(self._farm), "-S", self._socket(place), login, script]

    def _socket(self, place: Place) -> str:
        return str(self._folder / place.address)


class AnsibleRaw:
    """`ansible -m raw` in its strongest form: pipelining, ControlPersist, and `width` forks."""

    name = "ansible raw"

    def __init__(self, farm: Farm, *, width: int, cache: Path) -> None:
        self._farm = farm
        self._sockets = farm.folder / "cm"
        self._program = _install(cache)
        inventory = farm.folder / "inventory.ini"
        inventory.write_text("".join(f"{place.address}\n" for place in farm.places), encoding="utf-8")
        arguments = ["-F", "none", *_options(farm), "-o", "ControlMaster=auto", "-o", "ControlPersist=60s"]
        config = farm.folder / "ansible.cfg"
        config.write_text(
            f"[defaults]\nforks = {width}\ninventory = {inventory}\nremote_user = {farm.login}\n"
            f"remote_port = {farm.places[0].port}\nprivate_key_file = {farm.key}\n"
            f"local_tmp = {farm.folder}/ansible\ninterpreter_python = /usr/bin/python3\n"
            f"[ssh_connection]\npipelining = true\ncontrol_path_dir = {self._sockets}\n"
            f"ssh_args = {' '.join(arguments)}\n",
            encoding="utf-8",
        )
        self._environment = {**os.environ, "ANSIBLE_CONFIG": str(config), "LC_ALL": "C.UTF-8"}

    def run(self, script: str) -> None:
        """Raises CalledProcessError when a single target failed."""
        subprocess.run(
            [str(self._program), "all", "-m", "raw", "-a", script],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=TIMEOUT,
        )

    def clean_up(self) -> None:
        """End the masters it left, so that the next round is cold again, and so that their CPU is counted."""
        ours = {pid for pid in processor_time.children_of(os.getpid()) if self._is_master(pid)}
        for pid in ours:
            os.kill(pid, 15)
        for pid in ours:
            os.waitpid(pid, 0)
        shutil.rmtree(self._sockets, ignore_errors=True)
        time.sleep(0.2)

    def _is_master(self, pid: int) -> bool:
        return str(self._sockets).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()


def _install(cache: Path) -> Path:
    """The `ansible` program. Raises CalledProcessError where it cannot be installed."""
    venv = cache / ANSIBLE
    if not (venv / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        pip = [str(venv / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, ANSIBLE], check=True)
        (venv / "installed").touch()
    return venv / "bin/ansible"
