"""A set of hosts: up, down, reset, and what it looks like to others."""

import contextlib
import os
import re
import secrets
import shutil
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NotRequired, TypedDict

from tests.hosts.machine import Host, make_key
from tests.hosts.network import (
    free_subnets,
    host_address,
    make_bridge,
    remove_bridge,
    unwire,
    wire,
)
from tests.hosts.place import HostRecord, Place, SetRecord
from tests.hosts.prerequisites import cgroup_root, missing
from tests.hosts.processes import HostsError, Process, run, write
from tests.hosts.tree import Source, ensure_tree

_INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
_INOTIFY_PER_HOST = 6
_INOTIFY_SPARE = 8


class InventoryEntry(TypedDict):
    """One host in the form that `manage.py import_inventory` reads."""

    name: str
    role: str
    address: str
    port: int
    user: str
    private_key: str
    host_key: str
    jump: NotRequired[str]


class Inventory(TypedDict):
    """A whole set, and the files with which the OpenSSH client reaches it."""

    hosts: list[InventoryEntry]
    ssh_config: str
    known_hosts: str
    password_of_ops: str


def names_of(spec: str) -> list[tuple[str, str]]:
    """`3`: web1 to web3; `web=3,db=1,inner=2`: those, with their roles. inner brings a bastion."""
    roles = []
    for part in spec.split(","):
        role, _, count = part.rpartition("=")
        role = role or "web"
        if not re.fullmatch(r"[a-z][a-z-]{0,20}", role) or not re.fullmatch(r"[0-9]{1,3}", count):
            raise HostsError(f"not understood: {part!r}; write 3 or web=3,db=1")
        roles.append((role, int(count)))
    if {"inner"} <= dict(roles).keys() and "bastion" not in dict(roles):
        roles.insert(0, ("bastion", 1))
    return [(f"{role}{number}", role) for role, count in roles for number in range(1, count + 1)]


class HostSet:
    """The hosts of one place. Each call reads the records anew, so several processes may share a set."""

    def __init__(self, place: Place, say: Callable[[str], None] = lambda _: None) -> None:
        self.place, self.say = place, say

    def names(self) -> list[str]:
        record = self.place.load_set()
        return record.names if record else []

    def host(self, name: str) -> Host:
        if name not in self.names():
            raise HostsError(f"no host {name}; there are: {', '.join(self.names()) or 'none'}")
        return Host(self.place, self.place.load_host(name))

    def hosts(self) -> list[Host]:
        """Those that have a record; after an interrupted `up` that may not be all."""
        found = []
        for name in self.names():
            with contextlib.suppress(FileNotFoundError):
                found.append(Host(self.place, self.place.load_host(name)))
        return found

    def up(
        self,
        spec: str,
        *,
        source: Source | None = None,
        disk_mb: int = 256,
        owner: Process | None = None,
    ) -> Inventory:
        """Make and start hosts, and wait until all answer. owner: the set is orphaned when it is gone."""
        if lacking := missing():
            raise HostsError("\n".join(lacking))
        wanted = names_of(spec)
        ensure_tree(self.place, source or Source(), self.say)
        clock = time.monotonic()
        with self.place.lock(f"set-{self.place.tag}"):
            if self.names():
                raise HostsError("already up; say down first")
            self._check_limit(len(wanted))
            record = self._claim(wanted, owner)
            hosts = self._make(record, wanted, disk_mb)
        self._wait(hosts)
        self.say(f"up: {len(hosts)} hosts in {time.monotonic() - clock:.1f} s")
        return self.inventory()

    def _claim(self, wanted: list[tuple[str, str]], owner: Process | None) -> SetRecord:
        """Subnets and a record of our own: from here on `down` knows what to remove."""
        with self.place.lock("subnets"):
            subnet, inner = free_subnets(self.place)
            record = SetRecord(
                names=[name for name, _ in wanted],
                subnet=subnet,
                inner_subnet=inner,
                password=secrets.token_urlsafe(12),
                owner=owner,
            )
            self.place.save_set(record)
        return record

    def _check_limit(self, count: int) -> None:
        """Every systemd holds inotify instances, and all of them belong to the machine's one root."""
        running = sum(len(record.names) for place in self.place.others() if (record := place.load_set()))
        need, allowed = _INOTIFY_SPARE + _INOTIFY_PER_HOST * (count + running), int(_INOTIFY.read_text())
        if need > allowed:
            raise HostsError(
                f"{count} hosts beside {running} others want more inotify instances than {allowed}; type:\n"
                f"  sysctl -w fs.inotify.max_user_instances={max(512, need)}"
            )

    def _make(self, record: SetRecord, wanted: list[tuple[str, str]], disk_mb: int) -> list[Host]:
        keys = self.place.run / "keys"
        keys.mkdir(mode=0o700, exist_ok=True)
        make_key(keys / "id_ed25519", "opsportal test hosts")
        make_bridge(self.place, record)
        hosts = [Host(self.place, each) for each in self._records(record, wanted, disk_mb)]
        addresses = {host.name: host.record.address for host in hosts}
        for host in hosts:
            host.save()
            wire(self.place, record, host.record)
            host.seed(addresses, record.password)
            host.make_disk()
            host.boot()
        self._write_ssh_files(hosts, record.password)
        return hosts

    def _records(self, record: SetRecord, wanted: list[tuple[str, str]], disk_mb: int) -> list[HostRecord]:
        records = []
        counts = {True: 0, False: 0}
        for number, (name, role) in enumerate(wanted, 1):
            inner = role == "inner"
            subnet = record.inner_subnet if inner else record.subnet
            address = host_address(subnet, counts[inner])
            counts[inner] += 1
            via = "bastion1" if inner else None
            veth = f"{self.place.tag}v{number}"
            records.append(HostRecord(name, role, address, veth, disk_mb, via=via))
        return records

    def _wait(self, hosts: list[Host]) -> None:
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(lambda host: host.wait(60 + 3 * len(hosts)), hosts))

    def inventory(self) -> Inventory:
        run_folder = self.place.run
        return {
            "hosts": [_entry(host, run_folder / "keys/id_ed25519") for host in self.hosts()],
            "ssh_config": str(run_folder / "ssh_config"),
            "known_hosts": str(run_folder / "known_hosts"),
            "password_of_ops": str(run_folder / "password"),
        }

    def _write_ssh_files(self, hosts: list[Host], password: str) -> None:
        folder = self.place.run
        known = "".join(f"{host.name},{host.record.address} {host.record.host_key}\n" for host in hosts)
        write(folder / "known_hosts", known, 0o600)
        write(folder / "password", f"{password}\n", 0o600)
        entries = "".join(_ssh_entry(host.record) for host in hosts)
        common = (
            f"Host *\n  User ops\n  IdentityFile {folder}/keys/id_ed25519\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {folder}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
            "  StrictHostKeyChecking yes\n  UpdateHostKeys no\n  BatchMode yes\n  LogLevel ERROR\n"
            "  ConnectTimeout 5\n"
        )
        write(folder / "ssh_config", entries + common, 0o600)

    def reset(self, name: str) -> None:
        """Make that host as new: an empty disk, no fault, a new boot; same keys and address."""
        with self.place.lock(f"host-{self.place.tag}-{name}"):
            host = self.host(name)
            host.kill()
            host.mend_network()
            host.record.faults = []
            host.drop_disk()
            host.make_disk()
            host.boot()
        host.wait()

    def status(self) -> list[dict[str, object]]:
        return [_status(host) for host in self.hosts()]

    def down(self) -> None:
        """Remove all that `up` made, nothing else; also after an `up` that was cut short."""
        with self.place.lock(f"set-{self.place.tag}"):
            record = self.place.load_set()
            hosts = self.hosts()
            for host in hosts:
                host.stop_carrier()
                host.kill()
            for host in hosts:
                unwire(self.place, host.record)
            if record:
                remove_bridge(self.place, record)
            self._unmount()
            self._remove_cgroups()
            shutil.rmtree(self.place.run, ignore_errors=True)
        for pattern in (f"set-{self.place.tag}", f"host-{self.place.tag}-*"):
            for lock in self.place.base.glob(f"locks/{pattern}"):
                lock.unlink(missing_ok=True)

    def _mounts(self) -> list[str]:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        return [point for line in lines if (point := line.split()[4]).startswith(f"{self.place.run}/")]

    def _unmount(self) -> None:
        for point in sorted(self._mounts(), reverse=True):
            if run("umount", point, check=False).returncode:
                run("umount", "-l", point)
        if still := self._mounts():
            raise HostsError(f"still mounted, files kept: {' '.join(still)}")

    def _kill_unrecorded(self) -> None:
        """What an `up` had just begun to start when it was killed may still be on its way into the group."""
        group = cgroup_root() / f"{self.place.tag}-hosts"
        for members in group.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                for pid in members.read_text().split():
                    os.kill(int(pid), signal.SIGKILL)

    def _remove_cgroups(self) -> None:
        group = cgroup_root() / f"{self.place.tag}-hosts"
        for _ in range(100):  # a group is free a moment after its last process
            if not group.is_dir():
                return
            self._kill_unrecorded()
            for folder in sorted(group.rglob("*/"), reverse=True):
                with contextlib.suppress(OSError):
                    folder.rmdir()
            with contextlib.suppress(OSError):
                group.rmdir()
            time.sleep(0.02)

    def purge(self) -> None:
        """`down`, and the cached tree too."""
        self.down()
        if others := [other.tag for other in self.place.others()]:
            raise HostsError(f"other hosts run on the cached tree: down of {', '.join(others)} first")
        shutil.rmtree(self.place.base, ignore_errors=True)


def remove_orphans(base: Path, say: Callable[[str], None]) -> None:
    """Take down the sets whose owner has ended without taking them down."""
    for place in Place.all(base):
        record = place.load_set()
        if record and record.owner and not record.owner.alive:
            say(f"removing the hosts that an ended process left behind: {place.tag}")
            HostSet(place, say).down()


def _entry(host: Host, key: Path) -> InventoryEntry:
    record = host.record
    entry: InventoryEntry = {
        "name": record.name,
        "role": record.role,
        "address": record.address,
        "port": 22,
        "user": "ops",
        "private_key": str(key),
        "host_key": record.host_key,
    }
    if record.via:
        entry["jump"] = record.via
    return entry


def _ssh_entry(record: HostRecord) -> str:
    jump = f"  ProxyJump {record.via}\n" if record.via else ""
    return f"Host {record.name} {record.address}\n  HostName {record.address}\n{jump}"


def _status(host: Host) -> dict[str, object]:
    running = host.init_pid() is not None
    status: dict[str, object] = {
        "name": host.name,
        "role": host.record.role,
        "address": host.record.address,
        "running": running,
        "ssh": running and host.answers(),
        "faults": host.record.faults,
        **host.usage(),
    }
    if running and "freeze" not in host.record.faults:
        script = "dpkg-query -W -f '${Version}' nginx; echo -n ' '; systemctl is-active nginx"
        status["nginx"] = host.raw(script, check=False).stdout.strip()
    return status
