"""Faults of the network, of the SSH service as such, and of the host as a whole."""

import sys
import time
from pathlib import Path

from tests.hosts import inside
from tests.hosts.faults.fault import Fault, by_script
from tests.hosts.machine import Host
from tests.hosts.network import filter_packets, set_cable
from tests.hosts.processes import HostsError, run, start_detached

_DROP_IN = "chain i { type filter hook input priority 0; iif eth0 drop; }"
_DROP_OUT = "chain o { type filter hook output priority 0; oif eth0 drop; }"
_REFUSE = "chain i { type filter hook input priority 0; tcp dport 22 reject with tcp reset; }"
_INSIDE = Path(inside.__file__)


def _first(numbers: tuple[float, ...], default: float) -> float:
    return numbers[0] if numbers else default


def _link_down(host: Host, _: tuple[float, ...]) -> None:
    set_cable(host.place, host.record, "down")


def _link_flap(host: Host, numbers: tuple[float, ...]) -> None:
    set_cable(host.place, host.record, "down")
    time.sleep(_first(numbers, 5))
    set_cable(host.place, host.record, "up")


def _drop(host: Host, _: tuple[float, ...]) -> None:
    filter_packets(host.place, host.name, f"{_DROP_IN}\n{_DROP_OUT}")


def _drop_out(host: Host, _: tuple[float, ...]) -> None:
    filter_packets(host.place, host.name, _DROP_OUT)


def _refuse(host: Host, _: tuple[float, ...]) -> None:
    filter_packets(host.place, host.name, _REFUSE)


def _loss(host: Host, numbers: tuple[float, ...]) -> None:
    rule = f"numgen random mod 100 < {_first(numbers, 20):.0f} drop;"
    incoming, outgoing = _DROP_IN.replace("drop;", rule), _DROP_OUT.replace("drop;", rule)
    filter_packets(host.place, host.name, f"{incoming}\n{outgoing}")


def _delay(host: Host, numbers: tuple[float, ...]) -> None:
    """A process between host and bridge holds the frames back: needs no netem and no kernel module."""
    if host.record.via:
        raise HostsError("delay: not for a host behind the bastion")
    milliseconds = _first(numbers, 150)
    jitter = _first(numbers[1:], 0)
    host.stop_carrier()
    veth = host.record.veth
    near, far = f"{veth}a", f"{veth}b"
    run("ip", "link", "add", near, "type", "veth", "peer", "name", far)
    inside.plain_frames(near)
    run("nsenter", f"--net={host.netns_path}", sys.executable, _INSIDE, "plain", "eth0")
    run("ip", "link", "set", veth, "nomaster")
    run("ip", "link", "set", near, "master", host.place.bridge, "up")
    run("ip", "link", "set", far, "up")
    argv = (sys.executable, _INSIDE, "carry", veth, far, milliseconds, jitter)
    host.record.carrier = start_detached(argv, host.folder / "carrier.log")


def _freeze(host: Host, _: tuple[float, ...]) -> None:
    host.freeze(frozen=True)


def _crash(host: Host, _: tuple[float, ...]) -> None:
    host.kill()


# the sessions only, inside this host's own process namespace; sshd itself goes on
_KILL_SESSIONS = """
main=$(systemctl show -P MainPID ssh)
for pid in $(pgrep -x sshd); do [ "$pid" = "$main" ] || kill -9 "$pid" || true; done
"""


def _sshd_kill(host: Host, _: tuple[float, ...]) -> None:
    host.raw(_KILL_SESSIONS)


def _reboot(host: Host, _: tuple[float, ...]) -> None:
    host.raw("systemctl --no-block reboot")


FAULTS = (
    Fault("link-down", "the cable is out: packets vanish, also in the middle of a command", _link_down),
    Fault("link-flap", "the cable is out for SECONDS, then in again (default 5)", _link_flap, passing=True),
    Fault("drop", "all packets to and from the host are dropped in silence", _drop),
    Fault("drop-out", "only what the host sends is dropped (half-open)", _drop_out),
    Fault("refuse", "port 22 answers with a reset", _refuse),
    Fault("loss", "PERCENT of the packets are lost (default 20)", _loss),
    Fault("delay", "MS each way, and JITTER_MS (default 150 and 0)", _delay),
    by_script("sshd-stop", "the SSH service is stopped", "systemctl stop ssh"),
    Fault(
        "sshd-kill", "the SSH sessions are killed, also in the middle of a command", _sshd_kill, passing=True
    ),
    Fault("freeze", "every process of the host stands still (clear: goes on)", _freeze),
    Fault("crash", "the host dies at once (clear: boots again, its disk as it was)", _crash),
    Fault("reboot", "the host restarts, and comes back by itself", _reboot, passing=True),
)
