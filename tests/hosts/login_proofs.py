"""The proofs of the faults of identity, login, shell and rights."""

import os
import subprocess
import tempfile
import time
from pathlib import Path

from tests.hosts.client import Hosts
from tests.hosts.processes import Completed, write
from tests.hosts.proofs import begin, until


def host_key(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "host-key")
    done = hosts.ssh(name, "true")
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


def key_refused(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "key-refused")
    assert "Permission denied (publickey" in hosts.ssh(name, "true").stderr


def _with_password(hosts: Hosts, name: str, method: str) -> Completed:
    """A login in which another program gives the password to the client."""
    with tempfile.TemporaryDirectory() as folder:
        askpass = Path(folder) / "askpass"
        write(askpass, f"#!/bin/sh\necho '{hosts.password}'\n", 0o700)
        options = ("-o", "BatchMode=no", "-o", f"PreferredAuthentications={method}")
        environment = {**os.environ, "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}
        return subprocess.run(
            hosts.ssh_argv(name, "echo in", *options),
            check=False,
            capture_output=True,
            text=True,
            env=environment,
            timeout=60,
        )


def _takes_only(hosts: Hosts, name: str, method: str) -> None:
    done = hosts.ssh(name, "true")
    assert done.returncode == 255
    assert f"Permission denied ({method})" in done.stderr
    assert _with_password(hosts, name, method).stdout == "in\n"


def password_only(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "password-only")
    _takes_only(hosts, name, "password")


def keyboard_interactive(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "keyboard-interactive")
    _takes_only(hosts, name, "keyboard-interactive")


def password_expired(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "password-expired")
    done = hosts.ssh(name, "echo never")
    assert done.returncode == 1
    assert "expired" in done.stderr
    assert done.stdout == ""


def account_expired(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "account-expired")
    done = hosts.ssh(name, "true")
    assert done.returncode == 255
    assert "Permission denied" not in done.stderr


def account_locked(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "account-locked")
    done = hosts.ssh(name, "echo never")
    assert done.returncode == 1
    assert done.stdout == "This account is currently not available.\n"


def sudo_password(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "sudo-password")
    done = hosts.ssh(name, "sudo -n id -u")
    assert done.returncode == 1
    assert "a password is required" in done.stderr
    given = hosts.ssh(name, "sudo -k -S -p '' id -u", stdin=f"{hosts.password}\n".encode())
    assert given.stdout == "0\n"


def sudo_none(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "sudo-none")
    assert hosts.ssh(name, "sudo -n id -u").returncode == 1
    given = hosts.ssh(name, "sudo -k -S -p '' id -u", stdin=f"{hosts.password}\n".encode())
    assert "not in the sudoers file" in given.stderr


def max_sessions(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "max-sessions")
    with tempfile.TemporaryDirectory() as folder:
        shared = ("-o", f"ControlPath={folder}/socket")
        first = begin(hosts, name, "echo begun; sleep 60", *shared, "-o", "ControlMaster=yes")
        done = hosts.ssh(name, "true", *shared)
        first.terminate()
        first.communicate()
    assert "Session open refused by peer" in done.stderr


def force_command(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "force-command")
    done = hosts.ssh(name, "touch was-here; exit 3")
    assert (done.returncode, done.stdout) == (0, "this account takes backups only\n")
    assert hosts.raw(name, "test", "-e", "/home/ops/was-here").returncode == 1


def banner(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "banner")
    done = hosts.ssh(name, "echo mine", "-o", "LogLevel=INFO")
    assert done.stdout == f"welcome, this is .bashrc of {name}\nmine\n"
    assert "noise" in done.stderr
    assert done.stderr.count("Authorised use only") == 200


def slow_login(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "slow-login", 2)
    started = time.monotonic()
    assert hosts.ssh(name, "true").returncode == 0
    assert time.monotonic() - started >= 2


def csh_login(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "csh-login")
    assert hosts.ssh(name, "set x = 1; echo $x $shell").stdout == "1 /bin/tcsh\n"


def busybox_userland(hosts: Hosts, name: str) -> None:
    hosts.fault(name, "busybox-userland")
    tool = 'readlink -f "$(command -v sha256sum)"; command -v numfmt systemd-run'
    for shell in ("sh -c", "bash -c", "sudo -n sh -c", "sudo -n bash -c"):
        assert hosts.ssh(name, f"{shell} '{tool}'").stdout == "/usr/bin/busybox\n"


def kill_user_processes(hosts: Hosts, name: str) -> None:
    leave = "setsid nohup sleep 1234 > /dev/null 2>&1 < /dev/null & echo left"
    assert hosts.ssh(name, leave).stdout == "left\n"
    until(lambda: not _in_session(hosts, name), "the login ends")
    assert _sleeps(hosts, name)
    hosts.raw(name, "pkill", "-f", "sleep 1234")
    hosts.fault(name, "kill-user-processes")
    client = begin(hosts, name, f"echo begun; {leave}; sleep 3")
    assert _sleeps(hosts, name)
    client.communicate(timeout=30)
    until(lambda: not _sleeps(hosts, name), "logind ends what is left of the session")


def _in_session(hosts: Hosts, name: str) -> bool:
    # logind goes on listing the session, as closing, because of the process that is left in it
    return hosts.raw(name, "pgrep", "-u", "ops", "-x", "sshd").returncode == 0


def _sleeps(hosts: Hosts, name: str) -> bool:
    return hosts.raw(name, "pgrep", "-f", "sleep 1234").returncode == 0
