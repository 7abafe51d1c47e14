"""The Debian tree that all hosts share read-only: built once with debootstrap, then kept."""

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.hosts.place import Place
from tests.hosts.processes import HostsError, output_of, run, write
from tests.hosts.repository import fill_repositories

_RECIPE = "1"  # raise it, and every cached tree is built anew
_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",  # logins are logind sessions: lingering, KillUserProcesses
    "openssh-server",
    "sudo",
    "curl",
    "nginx",
    "iproute2",
    "procps",
    "less",
    "ca-certificates",
    "iputils-ping",
    "busybox",  # for the fault busybox-userland
    "tcsh",  # for the fault csh-login
)
# nothing of these has work to do in a host, and some would reach for the machine under it
_MASKED_UNITS = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "apt-daily.service",
    "apt-daily-upgrade.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
    "e2scrub_reap.service",
    "getty.target",
    "console-getty.service",
    "systemd-udevd.service",
    "systemd-modules-load.service",
    "modprobe@.service",
    "systemd-timesyncd.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-fs-fuse-connections.mount",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "systemd-firstboot.service",
    "systemd-journal-flush.service",
)
_SSHD = """HostKey /etc/ssh/ssh_host_ed25519_key
UseDNS no
PermitRootLogin prohibit-password
PasswordAuthentication no
MaxStartups 100
MaxSessions 50
LoginGraceTime 30
"""
_FILES = {
    "etc/apt/sources.list": "deb [trusted=yes] file:/srv/apt-repo ./\n",
    "etc/apt/apt.conf.d/90opsportal": 'Acquire::Languages "none";\n',
    "etc/dpkg/dpkg.cfg.d/opsportal": (
        "path-exclude=/usr/share/man/*\npath-exclude=/usr/share/doc/*\n"
        "path-include=/usr/share/doc/*/copyright\n"
    ),
    "etc/ssh/sshd_config.d/50-opsportal.conf": _SSHD,
    "etc/machine-id": "",
    "etc/resolv.conf": "",
    "etc/fstab": "",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/hostname": "host\n",
    "etc/default/locale": "LANG=C.UTF-8\n",
    "etc/systemd/journald.conf.d/opsportal.conf": "[Journal]\nStorage=volatile\nRuntimeMaxUse=4M\n",
}
SUDO_FOR_OPS = "ops ALL=(ALL) NOPASSWD: ALL\n"


@dataclass(frozen=True, slots=True)
class Source:
    """Where the tree comes from; None: this machine's own suite, and the mirror that its apt uses."""

    suite: str | None = None
    mirror: str | None = None

    def resolved_suite(self) -> str:
        if self.suite:
            return self.suite
        found = re.search(r"^VERSION_CODENAME=(.*)$", Path("/etc/os-release").read_text(), re.MULTILINE)
        if found is None:
            raise HostsError("this machine's /etc/os-release names no suite; give --suite")
        return found.group(1)

    def resolved_mirror(self) -> str:
        if self.mirror:
            return self.mirror
        suite = self.resolved_suite()
        wanted = "$(REPO_URI) $(RELEASE) $(CODENAME)"
        for line in output_of(
            "apt-get", "indextargets", "--format", wanted, "Created-By: Packages"
        ).splitlines():
            uri, *names = line.split()
            if suite in names:
                return uri
        raise HostsError(f"apt on this machine has no source for {suite}; give --suite, or --mirror")


def ensure_tree(place: Place, source: Source, say: Callable[[str], None]) -> None:
    """Build the tree unless the cached one was built by the same recipe. A minute or two, once."""
    suite = source.resolved_suite()
    stamp = place.cache / "stamp"
    want = " ".join((_RECIPE, suite, *_PACKAGES))
    with place.lock("tree"):
        if stamp.exists() and stamp.read_text() == want:
            return
        if others := [other.tag for other in place.others()]:
            raise HostsError(
                f"the tree must be built anew, but hosts run on it: down of {', '.join(others)} first"
            )
        clock = time.monotonic()
        say("building the tree for the hosts: a minute or two, once")
        stamp.unlink(missing_ok=True)
        _debootstrap(place, suite, source.resolved_mirror())
        fill_repositories(place)
        _thin_out(place.rootfs)
        _configure(place.rootfs)
        write(stamp, want)
        say(f"the tree took {time.monotonic() - clock:.0f} s")


def _debootstrap(place: Place, suite: str, mirror: str) -> None:
    new = place.cache / "rootfs.new"
    for old in (place.rootfs, new):
        shutil.rmtree(old, ignore_errors=True)
    new.parent.mkdir(parents=True, exist_ok=True)
    run("debootstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}", suite, new, mirror)
    new.rename(place.rootfs)


def _thin_out(root: Path) -> None:
    """Leave out what only takes room, and what must not be the same on all hosts."""
    folders = (
        "var/cache/apt",
        "var/lib/apt/lists",
        "var/cache/debconf",
        "usr/share/doc",
        "usr/share/man",
        "usr/share/locale",
    )
    for folder in folders:
        for path in (root / folder).rglob("*"):
            if (path.is_file() or path.is_symlink()) and path.name != "copyright":
                path.unlink()
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (root / "var/log/bootstrap.log").unlink(missing_ok=True)
    shutil.rmtree(root / "etc/apt/sources.list.d", ignore_errors=True)
    (root / "etc/apt/sources.list.d").mkdir()


def _configure(root: Path) -> None:
    for name, text in _FILES.items():
        write(root / name, text)
    run("chroot", root, "useradd", "-m", "-s", "/bin/bash", "-u", "1000", "-G", "sudo", "-p", "*", "ops")
    write(root / "etc/sudoers.d/ops", SUDO_FOR_OPS, 0o440)
    for unit in _MASKED_UNITS:
        link = root / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
