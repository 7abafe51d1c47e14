"""What tests hold in their hands: a set of hosts that is up."""

import subprocess
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.hosts.faults import registry
from tests.hosts.lifecycle import HostSet, Inventory
from tests.hosts.place import Place
from tests.hosts.processes import Completed, HostsError, Process
from tests.hosts.tree import Source


class Hosts:
    """A set of hosts under one tag. All calls may be made from several threads, for different hosts."""

    def __init__(self, place: Place, say: Callable[[str], None] = lambda _: None) -> None:
        self._set = HostSet(place, say)
        self.place = place

    def up(self, spec: str, *, source: Source | None = None, owner: Process | None = None) -> None:
        """Start hosts, for instance `3` or `web=2,db=1`; HostsError when they are up or cannot start."""
        self._set.up(spec, source=source, owner=owner)

    def down(self) -> None:
        """Remove all that `up` made."""
        self._set.down()

    @property
    def names(self) -> list[str]:
        return self._set.names()

    def inventory(self) -> Inventory:
        """The hosts in the form that `manage.py import_inventory` reads."""
        return self._set.inventory()

    def address(self, name: str) -> str:
        return self._set.host(name).record.address

    def host_key(self, name: str) -> str:
        """The key of a host as `ssh-ed25519 AAAA…`; the fault host-key does not change this answer."""
        return self._set.host(name).record.host_key

    @property
    def private_key(self) -> Path:
        return self.place.run / "keys/id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.place.run / "known_hosts"

    @property
    def password(self) -> str:
        """Of the account ops, for the faults that ask for one."""
        return (self.place.run / "password").read_text().strip()

    def raw(self, name: str, *argv: str, stdin: bytes | None = None, timeout: float = 60) -> Completed:
        """Run a program as root inside the host, past its network; works while sshd does not."""
        return _finish(self._set.host(name).inside_argv(argv, limited=True), stdin, timeout)

    def ssh(
        self,
        name: str,
        command: str,
        *options: str,
        stdin: bytes | None = None,
        timeout: float = 60,
    ) -> Completed:
        """Run a command through the OpenSSH client, as ops; 255 is the client's own failure."""
        return _finish(self.ssh_argv(name, command, *options), stdin, timeout)

    def ssh_argv(self, name: str, command: str, *options: str) -> list[str]:
        """The argument list of that client, for tests which start it themselves."""
        return ["ssh", "-F", str(self.place.run / "ssh_config"), *options, name, command]

    def page(self, name: str, timeout: float = 5) -> str:
        """What nginx on the host answers; OSError when it does not."""
        with urllib.request.urlopen(f"http://{self.address(name)}/", timeout=timeout) as answer:
            text: str = answer.read().decode()
            return text

    def boot_id(self, name: str) -> str:
        return self.raw(name, "cat", "/proc/sys/kernel/random/boot_id").stdout.strip()

    def fault(self, name: str, fault: str, *numbers: float) -> None:
        """Put a fault on a host; `python -m tests.hosts faults` lists them."""
        registry.put_on(self._set, name, fault, numbers)

    def clear(self, name: str) -> None:
        """Take all its faults away and wait until it answers; its disk stays as it is."""
        registry.clear(self._set, name)

    def faults(self, name: str) -> list[str]:
        return list(self._set.host(name).record.faults)

    def wait(self, name: str) -> None:
        """Until the host greets and its boot is over, for instance after the fault reboot."""
        self._set.host(name).wait()

    def reset(self, *names: str) -> None:
        """Make these hosts as new, all of them without names."""
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(self._set.reset, names or self.names))


def _finish(argv: Sequence[str], stdin: bytes | None, timeout: float) -> Completed:
    """Run to the end; both streams as text, kept apart, with what is no UTF-8 replaced."""
    try:
        done = subprocess.run(argv, check=False, input=stdin or b"", capture_output=True, timeout=timeout)
    except subprocess.TimeoutExpired as late:
        raise HostsError(f"not over after {timeout:g} s: {argv[-1]}") from late
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    )
