"""One host: its files, its start and end, and commands inside it past its network."""

import contextlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.hosts.inside import greets
from tests.hosts.network import filter_packets, set_cable
from tests.hosts.place import HostRecord, Place
from tests.hosts.prerequisites import cgroup_root
from tests.hosts.processes import Completed, HostsError, Process, in_namespace, run, start_detached, write

# what the root user of a host may not do to the machine under it
_DROPPED_CAPABILITIES = (
    "sys_admin",
    "mknod",
    "sys_module",
    "sys_rawio",
    "sys_time",
    "syslog",
    "wake_alarm",
    "mac_admin",
    "mac_override",
    "audit_control",
    "block_suspend",
    "bpf",
    "perfmon",
    "linux_immutable",
)
_BOUNDING_SET = ",".join(f"-{capability}" for capability in _DROPPED_CAPABILITIES)
_CLEAN_ENVIRONMENT = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8")
_HERE = Path(__file__).parent


class Host:
    """A host that `up` has made a record of; it may run or not."""

    def __init__(self, place: Place, record: HostRecord) -> None:
        self.place, self.record, self.name = place, record, record.name
        self.folder = place.folder(record.name)
        self.netns_path = Path("/run/netns") / place.netns(record.name)

    @property
    def cgroup(self) -> Path:
        return cgroup_root() / f"{self.place.tag}-hosts" / self.name

    def save(self) -> None:
        self.place.save_host(self.record)

    # files

    def seed(self, names: dict[str, str], password: str) -> None:
        """Write what is this host's own: keys, names of all hosts with their addresses, page."""
        seed = self.folder / "seed"
        (self.folder / "mnt").mkdir(parents=True, exist_ok=True)
        key = seed / "etc/ssh/ssh_host_ed25519_key"
        key.parent.mkdir(parents=True)
        make_key(key, self.name)
        authorized = (self.place.run / "keys/id_ed25519.pub").read_text()
        for home in (seed / "home/ops", seed / "root"):
            write(home / ".ssh/authorized_keys", authorized, 0o600)
            (home / ".ssh").chmod(0o700)
        (seed / "root").chmod(0o700)
        lines = "".join(f"{address} {name}\n" for name, address in names.items())
        write(seed / "etc/hosts", f"127.0.0.1 localhost\n::1 localhost\n{lines}")
        write(seed / "etc/hostname", f"{self.name}\n")
        write(seed / "var/www/html/index.html", f"<h1>{self.name}</h1>\n")
        write(self.folder / "secret", f"ops:{password}\n", 0o600)
        if self.record.role not in ("web", "inner"):  # nginx is there but not in use
            masked = seed / "etc/systemd/system/nginx.service"
            masked.parent.mkdir(parents=True)
            masked.symlink_to("/dev/null")
        self.record.host_key = " ".join(key.with_suffix(".pub").read_text().split()[:2])

    def make_disk(self) -> None:
        """An empty disk of limited size, in memory, for all that the host writes."""
        disk = self.folder / "disk"
        disk.mkdir(exist_ok=True)
        options = f"size={self.record.disk_mb}m,mode=755"
        run("mount", "-t", "tmpfs", "-o", options, self.place.netns(self.name), disk)
        (disk / "upper").mkdir()
        (disk / "work").mkdir()

    def drop_disk(self) -> None:
        if (self.folder / "disk").is_mount():
            run("umount", self.folder / "disk")

    # life

    def boot(self) -> None:
        """Start its keeper, which starts the host, again after each reboot too. Does not wait."""
        (self.folder / "pid").unlink(missing_ok=True)
        self.cgroup.mkdir(parents=True, exist_ok=True)
        for script in ("boot.sh", "keeper.sh"):
            write(self.folder / script, (_HERE / script).read_text())
        argv: list[object] = ["sh", self.folder / "keeper.sh", self.cgroup, self.netns_path]
        argv += [self.folder, self.name, self.place.rootfs, _BOUNDING_SET]
        self.record.keeper = start_detached(argv, self.folder / "console")
        self.save()

    def init_pid(self) -> int | None:
        """The pid of its process 1, taken for ours only if it lives in this host's namespace."""
        try:
            pid = int((self.folder / "pid").read_text())
            same = Path(f"/proc/{pid}/ns/net").stat().st_ino == self.netns_path.stat().st_ino
        except (OSError, ValueError):
            return None
        return pid if same and Process.of(pid).alive else None

    def kill(self) -> None:
        """End it at once, with all its processes; the disk stays."""
        if self.record.keeper:
            self.record.keeper.kill()
        if pid := self.init_pid():  # the kernel ends all others of the host with its process 1
            Process.of(pid).kill()
        self._kill_left_behind()

    def _kill_left_behind(self) -> None:
        """What an interrupted start left in this namespace."""
        with contextlib.suppress(OSError):
            for pid in list(in_namespace("net", self.netns_path.stat().st_ino)):
                Process.of(pid).kill()

    def stop_carrier(self) -> None:
        """End the process that holds the frames back, and put the cable where it was."""
        if not self.record.carrier:
            return
        self.record.carrier.kill()
        self.record.carrier = None
        run("ip", "link", "del", f"{self.record.veth}a", check=False)
        run("ip", "link", "set", self.record.veth, "master", self.place.bridge)

    def mend_network(self) -> None:
        """Cable in, no filter, no delay, not frozen."""
        self.stop_carrier()
        set_cable(self.place, self.record, "up", check=False)
        filter_packets(self.place, self.name, "")
        self.freeze(frozen=False)

    def freeze(self, *, frozen: bool) -> None:
        """Let every process of the host stand still, or go on."""
        (self.cgroup / "cgroup.freeze").write_text("1" if frozen else "0")

    def answers(self) -> bool:
        """Whether its SSH server greets; asked from inside the bastion where it is behind one."""
        if not self.record.via:
            return greets(self.record.address)
        outer = f"--net=/run/netns/{self.place.netns(self.record.via)}"
        argv = ("nsenter", outer, sys.executable, _HERE / "inside.py", "greets", self.record.address)
        return run(*argv, check=False).returncode == 0

    def failed_to_start(self) -> bool:
        return self.record.keeper is None or not self.record.keeper.alive

    def wait(self, seconds: float = 60) -> None:
        """Until it greets and its boot is over; HostsError with its console after that many seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.failed_to_start():
            if self.answers():
                self.raw("systemctl is-system-running --wait", check=False)
                return
            time.sleep(0.05)
        console = (self.folder / "console").read_text(errors="replace")[-1500:]
        raise HostsError(f"{self.name} did not start, or gives no SSH greeting:\n{console}")

    # commands

    def inside_argv(self, argv: Sequence[str], *, limited: bool) -> list[str]:
        """An argument list that runs in the host, as root. limited: with no more rights than its own root."""
        pid = self.init_pid()
        if not pid:
            raise HostsError(f"{self.name} is not running")
        rights = ("setpriv", "--bounding-set", _BOUNDING_SET) if limited else ()
        enter = ("nsenter", "-t", str(pid), "-m", "-u", "-i", "-n", "-p", "-C", "-T", "-r", "-w", "--")
        return [*enter, *rights, *_CLEAN_ENVIRONMENT, *argv]

    def raw(self, script: str, *, check: bool = True, stdin: str | None = None) -> Completed:
        """Run a bash script in the host with all rights of this machine's root: for the faults."""
        return run(*self.inside_argv(("bash", "-c", script), limited=False), check=check, stdin=stdin)

    def usage(self) -> dict[str, int]:
        """Its processes, their memory (proportional share) and what it wrote to its disk, in kB."""
        pid = self.init_pid()
        if not pid:
            return {}
        pids = list(in_namespace("pid", Path(f"/proc/{pid}/ns/pid").stat().st_ino))
        disk = os.statvfs(self.folder / "disk")
        written = (disk.f_blocks - disk.f_bfree) * disk.f_frsize // 1024
        return {"processes": len(pids), "memory_kb": sum(map(_memory_kb, pids)), "disk_kb": written}


def make_key(path: Path, comment: str) -> None:
    """A new ed25519 key without passphrase."""
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path)


def _memory_kb(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
