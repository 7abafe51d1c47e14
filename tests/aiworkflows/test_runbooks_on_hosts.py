"""The bodies of the runbooks on a real Debian system: run, verify, and where there is one, undo."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from aiworkflows.planners.runbooks import load_runbooks
from tests.hosts.client import Hosts
from tests.hosts.processes import Completed

RUNBOOKS = load_runbooks()
HOST = "web1"
OUTPUT = "/run/runbook-output"


@dataclass
class Played:
    """A runbook on one host: parameters, and the outputs of its steps so far."""

    hosts: Hosts
    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)

    def body(self, step: Mapping[str, Any], kind: str, *, phase: str = "") -> Completed:
        """Run one body as root, as the guard would set it up; keep what it says it found."""
        given = {f"OUTPUT_{name}": value for name, value in self.outputs.items()}
        names = {**self._defaults(), **self.parameters, **given}
        head = [f"{name}={shlex.quote(value)}" for name, value in names.items()]
        head += [f"export OPSPORTAL_OUTPUT={OUTPUT} OPSPORTAL_PHASE={phase or kind}", f": >{OUTPUT}"]
        script = "\n".join([*head, str(step[kind]["bash"])])
        done = self.hosts.raw(HOST, "bash", "-c", script, timeout=120)
        said = self.hosts.raw(HOST, "cat", OUTPUT).stdout
        self.outputs |= dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        return done

    def play(self) -> list[Completed]:
        """Run and verify every step; each must end well."""
        done = []
        for step in self.steps:
            for kind in ("run", "verify"):
                if kind in step:
                    done.append(self.body(step, kind))
                    assert done[-1].returncode == 0, (self.name, step["name"], kind, done[-1])
        return done

    def take_back(self) -> None:
        """Undo the last step, and see by its own verify that it is undone."""
        for kind in ("undo", "verify"):
            done = self.body(self.steps[-1], kind, phase="undo")
            assert done.returncode == 0, (self.name, kind, done)

    @property
    def steps(self) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = RUNBOOKS[self.name].definition["steps"]
        return found

    def _defaults(self) -> dict[str, str]:
        specs = RUNBOOKS[self.name].parameters
        return {name: str(spec.get("default", "")) for name, spec in specs.items()}


def state(hosts: Hosts, *words: str) -> str:
    return hosts.raw(HOST, *words).stdout.strip()


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("collect-facts", {"distribution": "debian", "package_manager": "apt-get", "reboot_needed": "no"}),
        ("disk-usage", {}),
        ("installed-updates", {}),
        ("logged-in-users", {}),
        ("open-ports", {}),
        ("uptime-load", {}),
        ("who-has-sudo", {}),
    ],
)
def test_a_reading_runbook_tells_what_it_found(hosts: Hosts, name: str, outputs: dict[str, str]) -> None:
    played = Played(hosts, name)
    assert all(done.stdout for done in played.play())
    assert outputs.items() <= played.outputs.items()
    assert played.outputs


def test_the_port_of_ssh_is_open_and_the_login_of_the_tests_has_sudo(hosts: Hosts) -> None:
    ports, sudo = Played(hosts, "open-ports"), Played(hosts, "who-has-sudo")
    ports.play()
    assert "22" in ports.outputs["tcp"].split()
    assert "ops" in sudo.play()[0].stdout


def test_a_clock_that_nothing_keeps_is_told_as_such(hosts: Hosts) -> None:
    played = Played(hosts, "time-sync")
    done = played.body(played.steps[0], "run")
    assert f"In sync: {played.outputs['synchronised']}" in done.stdout
    assert (done.returncode == 0) == (played.outputs["synchronised"] == "yes")


def test_a_log_is_shown_and_searched_by_service_by_file_and_as_a_whole(hosts: Hosts) -> None:
    hosts.raw(HOST, "bash", "-c", "printf 'one\\nTwo $(id)\\n' >/var/log/app.log; logger hello-from-the-test")
    assert (
        Played(hosts, "tail-log", {"log": "/var/log/app.log", "lines": "1"}).play()[0].stdout == "Two $(id)\n"
    )
    assert Played(hosts, "tail-log", {"log": "ssh"}).play()[0].stdout
    found = Played(hosts, "search-log", {"log": "/var/log/app.log", "text": "two $(ID)"})
    found.play()
    assert found.outputs["matches"] == "1"
    whole = Played(hosts, "search-log", {"text": "no-such-text"})
    whole.play()
    assert whole.outputs["matches"] == "0"


@pytest.mark.parametrize("log", ["/var/log/../../etc/shadow", "/var/log/link", "/var/log/none", "no-service"])
def test_what_is_no_log_is_not_shown(hosts: Hosts, log: str) -> None:
    hosts.raw(HOST, "ln", "-sfn", "/etc/shadow", "/var/log/link")
    for name in ("tail-log", "search-log"):
        played = Played(hosts, name, {"log": log, "text": "root"})
        done = played.body(played.steps[0], "run")
        assert done.returncode in {64, 66}
        assert "root" not in done.stdout


def test_a_service_is_stopped_started_enabled_and_reloaded_and_each_is_taken_back(fresh_hosts: Hosts) -> None:
    hosts, nginx = fresh_hosts, {"service": "nginx"}
    hosts.raw(HOST, "systemctl", "start", "nginx")
    stop = Played(hosts, "stop-service", nginx)
    stop.play()
    assert state(hosts, "systemctl", "is-active", "nginx") == "inactive"
    stop.take_back()
    assert state(hosts, "systemctl", "is-active", "nginx") == "active"
    Played(hosts, "reload-service", nginx).play()
    Played(hosts, "check-service", nginx).play()
    Played(hosts, "restart-service", nginx).play()
    hosts.raw(HOST, "systemctl", "stop", "nginx")
    start = Played(hosts, "start-service", nginx)
    start.play()
    start.take_back()
    assert state(hosts, "systemctl", "is-active", "nginx") == "inactive"
    hosts.raw(HOST, "systemctl", "disable", "nginx")
    enable = Played(hosts, "enable-service", nginx)
    enable.play()
    assert state(hosts, "systemctl", "is-enabled", "nginx") == "enabled"
    enable.take_back()


@pytest.mark.parametrize("name", ["stop-service", "start-service", "reload-service", "enable-service"])
def test_a_service_that_is_not_there_ends_the_first_step(hosts: Hosts, name: str) -> None:
    played = Played(hosts, name, {"service": "no-such-thing"})
    done = played.body(played.steps[0], "run")
    assert done.returncode == 66
    assert "no service no-such-thing" in done.stderr


def test_ssh_is_never_stopped_and_what_manages_the_target_never_removed(hosts: Hosts) -> None:
    for name, given in (("stop-service", {"service": "ssh"}), ("remove-package", {"package": "sudo"})):
        played = Played(hosts, name, given)
        assert played.body(played.steps[0], "run").returncode == 64


def test_a_package_is_held_removed_and_installed_and_each_is_taken_back(fresh_hosts: Hosts) -> None:
    hosts, nginx = fresh_hosts, {"package": "nginx"}
    version = state(hosts, "dpkg-query", "-W", "-f", "${Version}", "nginx")
    hold = Played(hosts, "hold-package", nginx)
    hold.play()
    assert state(hosts, "apt-mark", "showhold") == "nginx"
    hold.take_back()
    assert state(hosts, "apt-mark", "showhold") == ""
    remove = Played(hosts, "remove-package", nginx)
    remove.play()
    assert "nginx" in remove.outputs["removed"]
    install = Played(hosts, "install-package", nginx)
    install.play()
    install.take_back()
    remove.take_back()
    assert state(hosts, "dpkg-query", "-W", "-f", "${Version}", "nginx") == version


def test_only_security_updates_are_security_updates(fresh_hosts: Hosts) -> None:
    before = state(fresh_hosts, "dpkg-query", "-W", "-f", "${Version}", "nginx")
    played = Played(fresh_hosts, "security-updates")
    played.play()
    # The repository of the tests is no security archive: its newer nginx is left alone.
    assert played.outputs["packages"] == ""
    assert state(fresh_hosts, "dpkg-query", "-W", "-f", "${Version}", "nginx") == before


def test_disk_space_is_freed_and_counted(fresh_hosts: Hosts) -> None:
    fresh_hosts.raw(HOST, "bash", "-c", "echo x >/var/cache/apt/archives/old_1_all.deb")
    played = Played(fresh_hosts, "free-disk-space")
    played.play()
    assert played.outputs["freed_kb"].lstrip("-").isdigit()


def test_certificates_are_told_with_those_that_expire_soon(hosts: Hosts) -> None:
    make = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 5 -subj /CN=soon -keyout /dev/null"
        " -out /etc/nginx/soon.pem"
    )
    if hosts.raw(HOST, "bash", "-c", f"command -v openssl && {make}").returncode:
        played = Played(hosts, "certificate-expiry")
        assert played.body(played.steps[0], "run").returncode == 69
        return
    played = Played(hosts, "certificate-expiry")
    done = played.body(played.steps[0], "run")
    assert (done.returncode, played.outputs["expiring"]) == (1, "1")
    assert "CN = soon" in done.stdout or "CN=soon" in done.stdout
    hosts.raw(HOST, "rm", "/etc/nginx/soon.pem")
