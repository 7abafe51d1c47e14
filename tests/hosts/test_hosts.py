"""Hosts come up as real systems, become new again, and leave nothing behind."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts import prerequisites
from tests.hosts.cli import main
from tests.hosts.client import Hosts
from tests.hosts.fixtures import HostFactory, require_hosts
from tests.hosts.lifecycle import HostSet, names_of, remove_orphans
from tests.hosts.place import Place
from tests.hosts.processes import HostsError, Process, output_of

pytestmark = pytest.mark.hosts
_VERSION = "dpkg-query -W -f '${db:Status-Abbrev}${Version}' nginx"


def test_three_hosts_come_up_with_systemd_as_process_1_and_nothing_failed(hosts: Hosts) -> None:
    assert hosts.names == ["web1", "web2", "web3"]
    for name in hosts.names:
        done = hosts.ssh(
            name, "hostname; cat /proc/1/comm; systemctl is-system-running; systemctl --failed -q"
        )
        assert (done.stdout, done.stderr) == (f"{name}\nsystemd\nrunning\n", "")


def test_each_host_serves_a_page_of_its_own(hosts: Hosts) -> None:
    assert [hosts.page(name) for name in hosts.names] == [f"<h1>{name}</h1>\n" for name in hosts.names]


def test_a_login_is_a_session_of_logind(hosts: Hosts) -> None:
    done = hosts.ssh("web1", "cat /proc/self/cgroup; loginctl show-user ops -P State; echo $XDG_RUNTIME_DIR")
    assert re.search(r"^0::/user.slice/user-1000.slice/session-\S+.scope$", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("active\n/run/user/1000\n")


def test_hosts_have_boot_ids_and_uptimes_of_their_own(hosts: Hosts) -> None:
    machine = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert len({machine, *map(hosts.boot_id, hosts.names)}) == 4
    uptime = float(hosts.ssh("web1", "cat /proc/uptime").stdout.split()[0])
    assert uptime < float(Path("/proc/uptime").read_text().split()[0])


def test_nginx_can_be_upgraded_and_the_page_answers_afterwards(fresh_hosts: Hosts) -> None:
    before = fresh_hosts.ssh("web1", _VERSION).stdout
    main_pid = fresh_hosts.ssh("web1", "systemctl show -P MainPID nginx").stdout
    upgrade = "sudo -n DEBIAN_FRONTEND=noninteractive apt-get install -y --only-upgrade nginx"
    done = fresh_hosts.ssh("web1", f"sudo -n apt-get update && {upgrade}", timeout=120)
    assert done.returncode == 0, done.stderr
    after = fresh_hosts.ssh("web1", _VERSION).stdout
    assert before.startswith("ii ") and after.startswith("ii ") and before != after
    assert fresh_hosts.ssh("web1", "systemctl show -P MainPID nginx").stdout != main_pid
    assert fresh_hosts.page("web1") == "<h1>web1</h1>\n"


def test_reset_makes_a_host_as_new_with_its_keys_and_address(hosts: Hosts) -> None:
    boot = hosts.boot_id("web2")
    hosts.fault("web2", "key-refused")
    hosts.fault("web2", "refuse")
    hosts.raw("web2", "rm", "-rf", "--no-preserve-root", "/home", "/etc/nginx", "/usr/bin/apt-get")
    hosts.reset("web2")
    assert hosts.faults("web2") == []
    assert hosts.boot_id("web2") != boot
    assert hosts.ssh("web2", "sudo -n apt-get --version > /dev/null && echo well").stdout == "well\n"
    assert hosts.page("web2") == "<h1>web2</h1>\n"


def test_root_in_a_host_cannot_reach_the_machine_under_it(hosts: Hosts) -> None:
    for attempt in ("mknod /tmp/disk b 8 0", "mount -o remount,rw /proc/sys", "dmesg", "date -s 2000-01-01"):
        assert hosts.ssh("web1", f"sudo -n {attempt}").returncode != 0, attempt
    assert hosts.ssh("web1", "ip route show default").stdout == ""
    assert hosts.ssh("web1", "find /dev -type b").stdout == ""


def test_an_address_without_a_host_stays_on_the_machine(hosts: Hosts) -> None:
    subnet = hosts.address("web1").rsplit(".", 1)[0]
    assert f"unreachable {subnet}.0/24" in output_of("ip", "route", "show", "type", "unreachable")


def test_an_inner_host_is_reached_through_its_bastion_only(host_factory: HostFactory) -> None:
    hosts = host_factory("inner=1,db=1")
    assert hosts.names == ["bastion1", "inner1", "db1"]
    assert hosts.ssh("inner1", "hostname").stdout == "inner1\n"
    assert hosts.ssh("inner1", "true", "-o", "ProxyJump=none", "-o", "ConnectTimeout=1").returncode == 255
    assert hosts.inventory()["hosts"][1].get("jump") == "bastion1"


def test_the_inventory_says_how_to_log_in(hosts: Hosts) -> None:
    entry = hosts.inventory()["hosts"][0]
    assert (entry["name"], entry["role"], entry["port"], entry["user"]) == ("web1", "web", 22, "ops")
    assert entry["address"].startswith("198.18.") or entry["address"].startswith("198.19.")
    assert entry["host_key"] == hosts.host_key("web1")
    assert Path(entry["private_key"]).stat().st_mode & 0o777 == 0o600


def _traces(tag: str, base: Path) -> list[str]:
    """Whatever of a set is still on the machine."""
    root = prerequisites.cgroup_root()
    listings = {
        "network namespace": output_of("ip", "netns", "list"),
        "device": output_of("ip", "-o", "link", "show"),
        "mount": Path("/proc/self/mountinfo").read_text(),
        "process": output_of("ps", "-eo", "args"),
        "cgroup": "\n".join(path.name for path in root.iterdir()),
        "file": "\n".join(path.name for path in [*base.glob("run-*"), *base.glob("locks/*")]),
    }
    mark = re.compile(rf"\b{tag}(-|br0|v[0-9])|run-{tag}\b|-{tag}\b")
    return [
        f"{kind}: {line}"
        for kind, text in listings.items()
        for line in text.splitlines()
        if mark.search(line)
    ]


def test_down_leaves_nothing_behind_whatever_faults_were_on(host_factory: HostFactory) -> None:
    base = Path(host_factory("3").place.base)
    routes = output_of("ip", "route")
    hosts = Hosts(Place("tdown", base))
    hosts.up("2", owner=Process.of(1))
    assert {trace.split(":")[0] for trace in _traces("tdown", base)} >= {
        "device",
        "mount",
        "process",
        "cgroup",
    }
    hosts.fault("web1", "delay", 10)
    hosts.fault("web1", "link-down")
    hosts.fault("web2", "freeze")
    hosts.down()
    assert _traces("tdown", base) == []
    assert output_of("ip", "route") == routes


def test_down_removes_what_an_up_left_that_was_killed_half_way(host_factory: HostFactory) -> None:
    base = Path(host_factory("3").place.base)
    record = base / "run-tcut/hosts/web2/host.json"
    argv = [sys.executable, "-m", "tests.hosts", "--tag", "tcut", "--dir", str(base), "up", "3"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as up:
        while not record.exists():
            assert up.poll() is None
        up.kill()
    HostSet(Place("tcut", base)).down()
    assert _traces("tcut", base) == []


def test_hosts_of_an_ended_process_are_taken_down_by_the_next(host_factory: HostFactory) -> None:
    base = Path(host_factory("3").place.base)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as owner:
        Hosts(Place("tdead", base)).up("1", owner=Process.of(owner.pid))
    assert _traces("tdead", base) != []
    remove_orphans(base, lambda _: None)
    assert _traces("tdead", base) == []
    assert host_factory("3").ssh("web1", "true").returncode == 0


def test_the_command_line_lists_faults_and_prints_the_inventory(
    hosts: Hosts, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--tag", hosts.place.tag, "--dir", str(hosts.place.base)]
    assert main([*options, "inventory"]) == 0
    assert json.loads(capsys.readouterr().out) == hosts.inventory()
    assert main([*options, "faults"]) == 0
    assert "max-sessions" in capsys.readouterr().out
    assert main([*options, "reset", "web9"]) == 1
    assert "no host web9; there are: web1, web2, web3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ("2", ["web1", "web2"]),
        ("web=1,db=2", ["web1", "db1", "db2"]),
        ("inner=1", ["bastion1", "inner1"]),
    ],
)
def test_a_spec_names_hosts_by_role(spec: str, names: list[str]) -> None:
    assert [name for name, _ in names_of(spec)] == names


@pytest.mark.parametrize("spec", ["", "web=", "Web=1", "web=1;db=1", "web=-1"])
def test_a_spec_that_is_not_understood_is_refused(spec: str) -> None:
    with pytest.raises(HostsError, match="not understood"):
        names_of(spec)


def test_ci_fails_with_the_line_to_type_where_a_program_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prerequisites, "_PATH", "")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(
        pytest.fail.Exception, match="apt-get install -y --no-install-recommends apt debootstrap"
    ):
        require_hosts()


def test_a_laptop_skips_with_the_line_to_type_where_a_program_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prerequisites, "_PATH", "")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"(?s)NOT TESTED.*apt-get install -y"):
        require_hosts()


def test_without_root_the_line_to_type_starts_with_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"need root \(namespaces, mounts\); type:\n  sudo /"):
        require_hosts()
