"""For each fault a proof: it puts the fault on one host and observes the effect that the fault names.

The proofs of network, sshd and the whole host are here, with what all proofs share.
"""

import socket
import subprocess
import time
from collections.abc import Callable

from tests.hosts.client import Hosts
from tests.hosts.processes import Completed, HostsError

Proof = Callable[[Hosts, str], None]


def connect(hosts: Hosts, name: str) -> Completed:
    """A login with a short limit, which cannot share a connection."""
    return hosts.ssh(name, "true", "-o", "ConnectTimeout=1")


def until(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for something that happens by itself."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)


def begin(hosts: Hosts, name: str, command: str, *options: str) -> subprocess.Popen[bytes]:
    """Start a command over SSH, and return when its first line is there."""
    alive = ("-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2")
    argv = hosts.ssh_argv(name, command, *options, *alive)
    # without a buffer, for communicate would not see what readline took into it
    client = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
    assert client.stdout is not None
    assert client.stdout.readline() == b"begun\n"
    return client


def _exists(hosts: Hosts, name: str, path: str) -> bool:
    return hosts.raw(name, "test", "-e", path).returncode == 0


def _times_out(hosts: Hosts, name: str) -> None:
    done = connect(hosts, name)
    assert done.returncode == 255
    assert "timed out" in done.stderr or "No route to host" in done.stderr


def _loses_the_client_alone(hosts: Hosts, name: str, fault: str) -> None:
    """The client sees a lost connection; on the host the command runs to its end."""
    client = begin(hosts, name, f"echo begun; sleep 3; touch /tmp/{fault}")
    hosts.fault(name, fault)
    _, code = client.communicate(timeout=30), client.returncode
    assert code == 255
    until(lambda: _exists(hosts, name, f"/tmp/{fault}"), "the command ran on")


def link_down(hosts: Hosts, name: str) -> None:
    _loses_the_client_alone(hosts, name, "link-down")
    _times_out(hosts, name)


def link_flap(hosts: Hosts, name: str) -> None:
    patient = ("-o", "ServerAliveInterval=0")
    client = begin(hosts, name, "echo begun; for i in $(seq 15); do echo $i; sleep 0.2; done", *patient)
    started = time.monotonic()
    hosts.fault(name, "link-flap", 2)
    assert time.monotonic() - started >= 2
    lines = client.communicate(timeout=30)[0].decode().split()
    assert lines == [str(number) for number in range(1, 16)]


def drop(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "drop")
    _times_out(hosts, name)


def drop_out(hosts: Hosts, name: str) -> None:
    _loses_the_client_alone(hosts, name, "drop-out")
    _times_out(hosts, name)


def refuse(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "refuse")
    assert "Connection refused" in connect(hosts, name).stderr
    assert name in hosts.page(name)


def loss(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "loss", 20)
    gateway = hosts.address(name).rsplit(".", 1)[0] + ".1"
    done = hosts.raw(name, "ping", "-q", "-c", "40", "-i", "0.02", "-W", "1", gateway)
    lost = float(done.stdout.split("% packet loss")[0].split()[-1])
    assert 10 < lost < 80, done.stdout
    assert hosts.ssh(name, "echo slow but right", "-o", "ConnectTimeout=30").stdout == "slow but right\n"


def delay(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "delay", 100)
    started = time.monotonic()
    with socket.create_connection((hosts.address(name), 22), timeout=10):
        assert time.monotonic() - started >= 0.2
    assert hosts.ssh(name, "echo late but right", "-o", "ConnectTimeout=30").stdout == "late but right\n"


def sshd_stop(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "sshd-stop")
    assert "Connection refused" in connect(hosts, name).stderr


def sshd_kill(hosts: Hosts, name: str) -> None:
    client = begin(hosts, name, "echo begun; sleep 60")
    hosts.fault(name, "sshd-kill")
    client.communicate(timeout=30)
    assert client.returncode == 255
    assert hosts.ssh(name, "true").returncode == 0


def freeze(hosts: Hosts, name: str) -> None:
    client = begin(hosts, name, "echo begun; sleep 3; echo went on")
    hosts.fault(name, "freeze")
    assert "banner exchange" in connect(hosts, name).stderr
    assert client.poll() is None
    hosts.clear(name)
    assert client.communicate(timeout=30)[0] == b"went on\n"


def crash(hosts: Hosts, name: str) -> None:
    before = hosts.boot_id(name)
    hosts.ssh(name, "echo kept > kept; sync")
    hosts.fault(name, "crash")
    assert connect(hosts, name).returncode == 255
    hosts.clear(name)
    assert hosts.ssh(name, "cat kept").stdout == "kept\n"
    assert hosts.boot_id(name) != before


def reboot(hosts: Hosts, name: str) -> None:
    before = hosts.boot_id(name)
    hosts.ssh(name, "echo kept > kept; touch /tmp/not-kept; sleep 1")
    hosts.fault(name, "reboot")
    until(lambda: _another_boot(hosts, name, before), "the host restarts by itself")
    hosts.wait(name)
    assert hosts.ssh(name, "cat kept; ls /tmp/not-kept").stdout == "kept\n"
    assert float(hosts.ssh(name, "cat /proc/uptime").stdout.split()[0]) < 30


def _another_boot(hosts: Hosts, name: str, before: str) -> bool:
    try:
        return hosts.boot_id(name) not in ("", before)
    except HostsError:  # it is down at the moment
        return False


def disk_full(hosts: Hosts, name: str) -> None:
    hosts.ssh(name, "echo old > old")
    hosts.fault(name, "disk-full")
    assert "No space left" in hosts.ssh(name, "head -c 65536 /dev/zero > new").stderr
    assert hosts.ssh(name, "mv old renamed && cat renamed").stdout == "old\n"


def noexec(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "noexec")
    for folder in ("/home/ops", "/tmp", "/var/tmp"):
        script = (
            f"printf '#!/bin/sh\\necho ran\\n' > {folder}/s; chmod 755 {folder}/s; {folder}/s; sh {folder}/s"
        )
        done = hosts.ssh(name, script)
        assert done.stdout == "ran\n"
        assert "Permission denied" in done.stderr


def no_spool(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "no-spool")
    find = "find / -path /proc -prune -o -type d -writable -print 2>/dev/null"
    assert hosts.ssh(name, find).stdout == ""
    assert "Read-only" in hosts.ssh(name, "sudo -n mkdir /root/spool /var/tmp/spool /tmp/spool").stderr


def apt_locked(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "apt-locked")
    done = hosts.ssh(name, "sudo -n apt-get install -y nginx")
    assert done.returncode == 100
    assert "Could not get lock" in done.stderr


def repo_gone(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "repo-gone")
    assert hosts.ssh(name, "sudo -n apt-get update").returncode == 100


def bad_package(hosts: Hosts, name: str) -> None:
    old = hosts.ssh(name, "dpkg-query -W -f '${Package}=${Version} ' nginx nginx-common").stdout
    hosts.fault(name, "bad-package")
    install = "sudo -n DEBIAN_FRONTEND=noninteractive apt-get install -y"
    done = hosts.ssh(name, f"sudo -n apt-get update && {install} nginx")
    assert done.returncode == 100
    assert "post-installation fails" in done.stdout  # apt gives on what dpkg says as its own output
    assert hosts.ssh(name, "dpkg-query -W -f '${db:Status-Abbrev}' nginx").stdout == "iF "
    hosts.clear(name)
    back = hosts.ssh(name, f"sudo -n apt-get update && {install} --allow-downgrades {old}")
    assert back.returncode == 0, back.stderr


def nginx_conf(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "nginx-conf")
    assert hosts.ssh(name, "sudo -n systemctl restart nginx").returncode == 1
