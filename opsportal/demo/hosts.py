"""The practice hosts' files: their disks, their keys, their ports, and the inventory that tells of them."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import asyncssh

HOST = "127.0.0.1"
ENVIRONMENT = "practice"
LOGIN = "ops"
NAMES = ("web-1", "web-2", "web-3")
GROUP = "web servers"
TAG = "practice-host"
OLD, NEW = "1.22.1-9+deb12u9", "1.22.1-9+deb12u11"
# What each package was, and what the repository has; the oldest first.
REPOSITORY = {
    "nginx": (OLD, NEW),
    "nginx-common": (OLD, NEW),
    "openssl": ("3.0.17-1~deb12u2", "3.0.17-1~deb12u3"),
    "openssh-server": ("1:9.2p1-2+deb12u7",),
}
SERVICES = ("nginx", "ssh")
STAND_INS = Path(__file__).parent / "stand_ins"
PLACES = {
    "": ("root", "home/ops", "srv/apt-repo"),
    "etc": ("alternatives", "nginx/conf.d"),
    "var": ("log", "tmp", "www/html"),
    "var/lib/practice": ("lists", "packages", "units"),
}
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
    "etc/group": "root:x:0:\n",
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\n'
    'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nVARIANT="OpsPortal practice host"\n',
    "etc/nginx/nginx.conf": "events {}\nhttp {\n    include conf.d/*.conf;\n}\n",
    "etc/nginx/conf.d/default.conf": "server {\n    listen 80;\n    root /var/www/html;\n}\n",
    "var/log/syslog": "",
}
ALTERNATIVES = ("awk", "which", "pager")  # commands that lead through /etc on Debian


@dataclass(frozen=True, slots=True)
class PracticeHost:
    """One practice host; `ssh` and `page` are ports on HOST."""

    name: str
    ssh: int
    page: int

    def folder(self, base: Path) -> Path:
        return base / self.name

    def root(self, base: Path) -> Path:
        """Its disk. Once it has run, what lies in there is not to be trusted or followed."""
        return self.folder(base) / "root"

    def host_key(self, base: Path) -> Path:
        return self.folder(base) / "host_key"


def make_hosts(base: Path, *, broken: str | None = None) -> list[PracticeHost]:
    """Make all of it anew below `base`, which must be empty. The new nginx of `broken` will not be set up."""
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_key(client_key(base))
    copy_stand_ins(base)
    ports = list(_free_ports(2 * len(NAMES)))
    hosts = [PracticeHost(name, *ports[2 * n : 2 * n + 2]) for n, name in enumerate(NAMES)]
    for host in hosts:
        make_disk(host.root(base), host.name)
        _write_key(host.host_key(base))
        if host.name == broken:
            faults = host.root(base) / "var/lib/practice/faults"
            faults.mkdir()
            (faults / "bad-package").touch()
    (base / "hosts.json").write_text(json.dumps([asdict(host) for host in hosts]))
    return hosts


def read_hosts(base: Path) -> list[PracticeHost]:
    """Those that `make_hosts` made."""
    return [PracticeHost(**row) for row in json.loads((base / "hosts.json").read_text())]


def client_key(base: Path) -> Path:
    """The private key that all of them let in, as the user LOGIN."""
    return base / "id_ed25519"


def stand_ins(base: Path) -> Path:
    return base / "stand-ins"


def copy_stand_ins(base: Path) -> Path:
    """Make them executable, however the project was copied to this machine."""
    place = shutil.copytree(STAND_INS, stand_ins(base))
    for file in (place / "bin").iterdir():
        file.chmod(0o755)
    return place


def make_disk(root: Path, name: str) -> None:
    """What a practice host keeps when it is restarted; programs and libraries are this machine's."""
    for above, folders in PLACES.items():
        for folder in folders:
            (root / above / folder).mkdir(parents=True, exist_ok=True)
    files = {
        **FILES,
        "etc/hostname": f"{name}\n",
        "etc/hosts": f"127.0.0.1 localhost {name}\n",
        "var/www/html/index.html": f"<h1>{name}</h1>\n<p>This is an OpsPortal practice host.</p>\n",
    }
    for path, text in files.items():
        (root / path).write_text(text)
    for package, versions in REPOSITORY.items():
        (root / "srv/apt-repo" / package).write_text("".join(f"{version}\n" for version in versions))
        (root / "var/lib/practice/lists" / package).write_text(f"{versions[0]}\n")
        (root / "var/lib/practice/packages" / package).write_text(f"ii {versions[0]}\n")
    for number, service in enumerate(SERVICES):
        unit = root / "var/lib/practice/units" / service
        unit.mkdir()
        (unit / "pid").write_text(f"{400 + number}\n")
        (unit / "invocation").write_text(f"{number:032x}\n")
        (unit / "since").write_text("Mon 2026-01-05 08:00:00 UTC\n")
    for command in ALTERNATIVES:
        real = os.path.realpath(shutil.which(command) or command)
        if real.startswith("/usr/bin/"):
            (root / "etc/alternatives" / command).symlink_to(real)


def inventory(base: Path, hosts: list[PracticeHost]) -> dict[str, Any]:
    """What `import_inventory` reads."""
    return {
        "hosts": [
            {
                "name": host.name,
                "address": HOST,
                "port": host.ssh,
                "user": LOGIN,
                "private_key": str(client_key(base)),
                "host_key": _public(host.host_key(base)),
                "groups": [GROUP],
                "tags": [TAG],
                "environment": ENVIRONMENT,
            }
            for host in hosts
        ]
    }


def _public(key: Path) -> str:
    kind, value = key.with_suffix(".pub").read_text().split()[:2]
    return f"{kind} {value}"


def _write_key(file: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    file.touch(mode=0o600)
    key.write_private_key(file)
    key.write_public_key(file.with_suffix(".pub"))


def _free_ports(count: int) -> Iterator[int]:
    with ExitStack() as held:
        for _ in range(count):
            probe = held.enter_context(socket.socket())
            probe.bind((HOST, 0))
            yield probe.getsockname()[1]
