"""All faults by name, put on a host and taken away again."""

from tests.hosts.faults import login, system, wire
from tests.hosts.faults.fault import RESTART_SSHD, Fault
from tests.hosts.lifecycle import HostSet
from tests.hosts.processes import HostsError

ALL: dict[str, Fault] = {fault.name: fault for fault in (*wire.FAULTS, *login.FAULTS, *system.FAULTS)}


def named(name: str) -> Fault:
    """The fault of that name; HostsError names the others."""
    if name not in ALL:
        raise HostsError(f"no fault {name}; there are: {', '.join(ALL)}")
    return ALL[name]


def put_on(hosts: HostSet, name: str, fault: str, numbers: tuple[float, ...] = ()) -> None:
    """Apply a fault to a host; several may be on at once, each at most once."""
    wanted = named(fault)
    with hosts.place.lock(f"host-{hosts.place.tag}-{name}"):
        host = hosts.host(name)
        if fault in host.record.faults:
            raise HostsError(f"{name} has the fault {fault} already; clear it first")
        wanted.apply(host, numbers)
        if not wanted.passing:
            host.record.faults.append(fault)
        host.save()


def clear(hosts: HostSet, name: str) -> None:
    """Take all faults away, the last one first, and wait until the host answers. Its disk stays."""
    with hosts.place.lock(f"host-{hosts.place.tag}-{name}"):
        host = hosts.host(name)
        host.mend_network()
        if not host.init_pid():
            host.boot()
            host.wait()
        for fault in reversed(host.record.faults):
            named(fault).clear(host)
        if host.record.faults:
            host.raw(RESTART_SSHD)
        host.record.faults = []
        host.save()
    host.wait()
