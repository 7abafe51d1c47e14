"""What the machine must have before a host can be made, each with the line that gets it."""

import os
import shutil
import sys
from pathlib import Path

from tests.hosts.processes import HostsError

_TOOLS = {
    "debootstrap": "debootstrap",
    "nft": "nftables",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "dpkg-deb": "dpkg",
    "apt-get": "apt",
}


def cgroup2() -> Path | None:
    """Where the machine has its cgroup2 tree."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, right = line.split(" - ", 1)
        if right.split()[0] == "cgroup2":
            return Path(left.split()[4])
    return None


def cgroup_root() -> Path:
    """The cgroup2 tree; HostsError where there is none."""
    root = cgroup2()
    if root is None:
        raise HostsError(_NO_CGROUP2)
    return root


_NO_CGROUP2 = (
    "no cgroup2 tree here, so systemd cannot run; type:\n"
    "  mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"
)


def missing() -> list[str]:
    """One entry for each thing that is missing, with the exact line to type; empty when all is there."""
    if sys.platform != "linux":
        return ["test hosts need Linux; run them in a virtual machine or a privileged container"]
    found = []
    if os.geteuid() != 0:
        found.append(
            f"test hosts need root (namespaces, mounts); type:\n  sudo {sys.executable} -m pytest tests"
        )
    packages = sorted({package for tool, package in _TOOLS.items() if not shutil.which(tool, path=_PATH)})
    if packages:
        found.append(
            f"missing programs; type:\n  apt-get install -y --no-install-recommends {' '.join(packages)}"
        )
    if cgroup2() is None:
        found.append(_NO_CGROUP2)
    return found


# an ordinary user's PATH lacks the sbin folders, which would look like missing packages
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
