"""Bridge, cables and the guard routes. Addresses come from 198.18.0.0/15, set aside for bench tests."""

import contextlib
import ipaddress
import json
from collections.abc import Iterator
from pathlib import Path

from tests.hosts.place import HostRecord, Place, SetRecord
from tests.hosts.processes import Completed, HostsError, output_of, run

_RANGE = ipaddress.IPv4Network("198.18.0.0/15")
_INNER_BRIDGE = "in0"
_FIRST_HOST = 11


def free_subnets(place: Place) -> tuple[str, str]:
    """Two subnets that neither this machine's routes nor another set of hosts uses. Hold the set lock."""
    taken = list(_routed())
    for other in place.others():
        if record := other.load_set():
            taken += [ipaddress.IPv4Network(record.subnet), ipaddress.IPv4Network(record.inner_subnet)]
    free = (net for net in _RANGE.subnets(new_prefix=24) if not any(net.overlaps(other) for other in taken))
    try:
        return str(next(free)), str(next(free))
    except StopIteration:
        raise HostsError(f"no free subnet in {_RANGE}; take other sets down first") from None


def _routed() -> Iterator[ipaddress.IPv4Network]:
    for route in json.loads(output_of("ip", "-j", "-4", "route", "show") or "[]"):
        with contextlib.suppress(ValueError):
            net = ipaddress.IPv4Network(route.get("dst", ""))
            if net.prefixlen:
                yield net


def host_address(subnet: str, number: int) -> str:
    """The address of the number-th host (from 0)."""
    return str(ipaddress.IPv4Network(subnet)[_FIRST_HOST + number])


def make_bridge(place: Place, record: SetRecord) -> None:
    """The bridge for a set of hosts, and routes that keep a wrong address on this machine."""
    net = ipaddress.IPv4Network(record.subnet)
    for guarded in (record.subnet, record.inner_subnet):
        # what is not one of our hosts must not leave by the default route
        run("ip", "route", "replace", "unreachable", guarded, "metric", "9999")
    run("ip", "link", "add", place.bridge, "type", "bridge", "stp_state", "0", "forward_delay", "0")
    run("ip", "addr", "add", f"{net[1]}/{net.prefixlen}", "dev", place.bridge)
    run("ip", "link", "set", place.bridge, "up")


def remove_bridge(place: Place, record: SetRecord) -> None:
    """Takes away what `make_bridge` made."""
    if Path(f"/sys/class/net/{place.bridge}").exists():
        run("ip", "link", "del", place.bridge)
    for guarded in (record.subnet, record.inner_subnet):
        run("ip", "route", "del", "unreachable", guarded, "metric", "9999", check=False)


def wire(place: Place, record: SetRecord, host: HostRecord) -> None:
    """A network namespace for the host, and a cable from it to the bridge, or to its bastion."""
    netns = place.netns(host.name)
    run("ip", "netns", "add", netns)
    run("ip", "-n", netns, "link", "set", "lo", "up")
    cable = ("type", "veth", "peer", "name", "eth0", "netns", netns)
    if host.via:
        outer = place.netns(host.via)
        _inner_bridge(outer, record.inner_subnet)
        run("ip", "link", "add", host.veth, "netns", outer, *cable)
        run("ip", "-n", outer, "link", "set", host.veth, "master", _INNER_BRIDGE, "up")
    else:
        run("ip", "link", "add", host.veth, *cable)
        run("ip", "link", "set", host.veth, "master", place.bridge, "up")
    subnet = record.inner_subnet if host.via else record.subnet
    prefix = ipaddress.IPv4Network(subnet).prefixlen
    run("ip", "-n", netns, "addr", "add", f"{host.address}/{prefix}", "dev", "eth0")
    run("ip", "-n", netns, "link", "set", "eth0", "up")


def _inner_bridge(outer: str, subnet: str) -> None:
    """The bridge inside a bastion, for the hosts that only it can reach."""
    if run("ip", "-n", outer, "link", "show", _INNER_BRIDGE, check=False).returncode == 0:
        return
    net = ipaddress.IPv4Network(subnet)
    run("ip", "-n", outer, "link", "add", _INNER_BRIDGE, "type", "bridge", "forward_delay", "0")
    run("ip", "-n", outer, "addr", "add", f"{net[1]}/{net.prefixlen}", "dev", _INNER_BRIDGE)
    run("ip", "-n", outer, "link", "set", _INNER_BRIDGE, "up")


def unwire(place: Place, host: HostRecord) -> None:
    """Takes away what `wire` made; what is gone already does not matter."""
    run("ip", "link", "del", host.veth, check=False)
    run("ip", "netns", "del", place.netns(host.name), check=False)


def set_cable(place: Place, host: HostRecord, state: str, *, check: bool = True) -> Completed:
    """The near end of the host's cable `up` or `down`."""
    where = ("-n", place.netns(host.via)) if host.via else ()
    return run("ip", *where, "link", "set", host.veth, state, check=check)


def filter_packets(place: Place, name: str, chains: str) -> None:
    """Replace the packet filter of a host; no chains: none."""
    table = f"table inet fault {{\n{chains}\n}}\n" if chains else ""
    rules = f"table inet fault\ndelete table inet fault\n{table}"
    run("nsenter", f"--net=/run/netns/{place.netns(name)}", "nft", "-f", "-", stdin=rules)
