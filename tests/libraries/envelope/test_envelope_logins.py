"""Logins as they are found: talkative, forced elsewhere, without bash, behind sudo, through a real sshd."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from automation.libraries.envelope import Control, End, Refused, probe, run
from automation.libraries.envelope_upload import Header, build_upload
from automation.libraries.errors import BecomeFailed, BecomePasswordRequired, ShellUnusable
from credentials.secret import Secret
from tests.libraries.envelope.conftest import make_login
from tests.libraries.envelope.local_target import LocalConnection
from tests.libraries.envelope.login import Login, Output, soon


def fake_sudo(folder: Path, script: str) -> LocalConnection:
    """A connection on which `sudo` is this script."""
    folder.mkdir(exist_ok=True)
    (folder / "sudo").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "sudo").chmod(0o755)
    return LocalConnection(env={"HOME": str(folder), "PATH": f"{folder}:/usr/bin:/bin"})


def probe_become(connection: LocalConnection, password: Secret | None = None) -> object:
    return probe(
        connection, become=True, installation="lab", spool=None, deadline=soon(), become_password=password
    )


def test_a_talkative_login_does_not_get_between(tmp_path: Path) -> None:
    (tmp_path / "rc").write_text("echo welcome; printf 'no newline' >&2\nprintf '\\036'\n")
    login = make_login(tmp_path, BASH_ENV=str(tmp_path / "rc"))
    end, output = login.run(b"echo mine; echo theirs >&2")
    assert isinstance(end, End) and (output.stdout, output.stderr) == (b"mine\n", b"theirs\n")


def test_a_spool_without_execution_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "noexec"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec,size=10m", "tmpfs", folder], check=True)
    try:
        end, _ = Login(LocalConnection(env={"HOME": str(tmp_path)}), spool=str(folder)).run(b"exit 6")
        assert isinstance(end, End) and end.exit_code == 6
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_the_spool_is_private_and_stays_the_same(tmp_path: Path) -> None:
    first, second = (
        make_login(tmp_path).probe,
        Login(LocalConnection(env={"HOME": str(tmp_path / "home")})).probe,
    )
    assert first.spool == str(tmp_path / "home/.opsportal/lab") and first.spool_id == second.spool_id
    assert (tmp_path / "home/.opsportal").stat().st_mode & 0o777 == 0o700


def test_a_link_in_place_of_the_spool_is_not_followed(tmp_path: Path) -> None:
    home, trap = tmp_path / "home", tmp_path / "trap"
    home.mkdir()
    trap.mkdir()
    (home / ".opsportal").symlink_to(trap)
    login = Login(LocalConnection(env={"HOME": str(home)}))
    assert login.probe.spool == "/var/tmp/opsportal-0/lab" and not list(trap.iterdir())


def test_a_target_without_bash_refuses_and_runs_nothing(tmp_path: Path) -> None:
    login = make_login(tmp_path, kind="busybox")
    (tmp_path / "bin" / "bash").unlink()
    assert login.run(b"true")[0] == Refused("interpreter.missing")


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/false", "/bin/echo"])
def test_a_login_that_is_no_shell_started_nothing(shell: str) -> None:
    with pytest.raises(ShellUnusable) as caught:
        probe(
            LocalConnection(login_shell=(shell,)),
            become=False,
            installation="lab",
            spool=None,
            deadline=soon(),
        )
    assert not caught.value.sent


def test_a_sudo_that_wants_a_password_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(BecomePasswordRequired) as caught:
        probe_become(fake_sudo(tmp_path / "bin", "echo 'sudo: a password is required' >&2; exit 1"))
    assert not caught.value.sent


def test_a_sudo_that_refuses_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(BecomeFailed) as caught:
        probe_become(fake_sudo(tmp_path / "bin", "echo 'ops is not allowed to run sudo' >&2; exit 1"))
    assert not caught.value.sent


def test_a_password_line_reaches_sudo_or_dies_before_the_guard(tmp_path: Path) -> None:
    reading = fake_sudo(tmp_path / "a", 'read -r given; [ "$given" = pass ] || exit 1; shift 4; exec "$@"')
    heedless = fake_sudo(tmp_path / "b", 'shift 4; exec "$@"')
    for connection in (reading, heedless):
        assert probe_become(connection, Secret("pass"))


def test_become_runs_the_guard_behind_sudo_in_the_logins_locale(tmp_path: Path) -> None:
    connection = fake_sudo(
        tmp_path / "bin", 'shift; exec env -i HOME="$HOME" PATH="$PATH" LC_ALL="$LC_ALL" "$@"'
    )
    _, output = Login(connection, become=True).run(b'echo "locale=${LC_ALL-unset}"')
    assert output.stdout == b"locale=unset\n"


def test_without_a_spool_a_script_is_bound_to_the_channel(tmp_path: Path) -> None:
    login = make_login(tmp_path)
    login.probe = type(login.probe)(
        **{**{n: getattr(login.probe, n) for n in login.probe.__slots__}, "spool": None}
    )
    end, output = login.run(b"echo out; echo err >&2; exit 3")
    assert end == End("ended", 3, {}, 4, 4, ()) and output.stdout == b"out\n"
    control = Control()
    stopped = run(
        login.connection,
        login.order(b"sleep 60"),
        on_started=control.cancel,
        on_output=Output().take,
        control=control,
        deadline=soon(),
    )
    assert isinstance(stopped, End) and (stopped.how, stopped.exit_code) == ("cancelled", 143)


def test_without_setsid_a_script_has_a_process_group_of_its_own(tmp_path: Path) -> None:
    # Not with busybox: where its sh was built to know its tools by itself, it has a setsid without the link.
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in Path("/usr/bin").iterdir():
        if tool.name != "setsid":
            (tools / tool.name).symlink_to(tool)
    login = make_login(tmp_path, PATH=str(tools))
    assert login.probe.detach == "group"
    end, output = login.run(b"echo mine; trap '' TERM; kill 0; exit 4")
    assert isinstance(end, End) and (end.exit_code, output.stdout) == (4, b"mine\n")
    end, _ = login.run(login.order(b"sleep 61 & sleep 62", timeout=1))
    assert isinstance(end, End) and (end.how, end.exit_code, end.left) == ("timed_out", 143, ())


def test_a_bash_that_ends_before_the_script_leaves_no_exit_code(tmp_path: Path) -> None:
    login = make_login(tmp_path)
    (tmp_path / "bin" / "bash").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "bin" / "bash").chmod(0o755)
    end, _ = login.run(b"true")
    assert isinstance(end, End) and (end.how, end.exit_code) == ("lost_guard", None)


class SSHCommand(LocalConnection):
    """The ssh program as the way to a real sshd."""

    def __init__(self, argv: list[str], env: dict[str, str]) -> None:
        super().__init__(login_shell=argv, env=env)


@pytest.fixture
def ssh_program(tmp_path: Path) -> Iterator[SSHCommand]:
    """A real sshd on loopback, and a way to log in."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    shutil.copy(tmp_path / "user.pub", tmp_path / "authorized")
    config = tmp_path / "config"
    config.write_text(
        f"HostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/authorized\nStrictModes no\nUsePAM no\n"
        "PidFile none\nPermitRootLogin yes\nMaxSessions 1\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    proxy = f"/usr/sbin/sshd -i -f {config} -E {tmp_path}/log"
    argv = ["ssh", "-i", str(tmp_path / "user"), "-o", f"ProxyCommand={proxy}", "-o", "BatchMode=yes"]
    argv += ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={tmp_path}/known", "root@target"]
    connection = SSHCommand(argv, {"HOME": os.environ.get("HOME", "/root")})
    yield connection
    connection.close()


def test_through_a_real_sshd_a_script_outlives_its_connection(
    ssh_program: SSHCommand, tmp_path: Path
) -> None:
    login = Login(ssh_program, spool=str(tmp_path / "spool"))
    order = login.order(
        b"echo one; until [ -e %s ]; do sleep 0.05; done; echo two; exit 7" % bytes(tmp_path / "gate")
    )

    def cut(_stream: str, _data: bytes) -> None:
        ssh_program.channels[-1].process.kill()
        raise KeyError("cut")

    with pytest.raises(KeyError):
        run(ssh_program, order, on_started=lambda: None, on_output=cut, control=Control(), deadline=soon())
    (tmp_path / "gate").touch()
    end, output = login.reclaim(order.attempt, offsets=(4, 0))
    assert isinstance(end, End) and (end.exit_code, output.stdout) == (7, b"two\n")


def test_a_perl_that_went_away_starts_nothing_and_the_shell_takes_over(tmp_path: Path) -> None:
    login = make_login(tmp_path, kind="perl")
    (tmp_path / "bin" / "perl").write_text("#!/bin/sh\nexit 127\n")
    (tmp_path / "bin" / "perl").chmod(0o755)
    end, output = login.run(b"echo once")
    assert isinstance(end, End) and (end.exit_code, output.stdout) == (0, b"once\n")


def test_a_perl_of_another_machine_asks_the_program_for_a_session(tmp_path: Path) -> None:
    login = make_login(tmp_path, kind="perl")
    upload = build_upload(
        Header(
            "run",
            attempt="5" * 32,
            installation="lab",
            spool=login.probe.spool,
            spool_id=login.probe.spool_id or "",
            timeout=20,
            output_limit=1000,
            guard="perl",
            detach="session",
        ),
        b'read -ra stat </proc/$$/stat; [ "${stat[5]}" = $$ ] && echo leads\n',
        become=False,
    )
    known, unknown = b"%SETSID = (62 =>", b"%SETSID = (99 =>"
    assert known in upload.data
    deadline = soon()
    channel = login.connection.open_channel(upload.command, deadline=deadline)
    channel.send(upload.data.replace(known, unknown), deadline=deadline)
    said = complained = b""
    while not channel.ended and channel.wait(deadline=deadline):
        said += channel.read("stdout")
        complained += channel.read("stderr")
    login.connection.close()
    assert b"leads\n" in said, complained


def test_a_systemd_that_refuses_a_scope_leaves_the_script_to_the_shell(tmp_path: Path) -> None:
    login = make_login(tmp_path, kind="perl")
    (tmp_path / "bin" / "systemd-run").write_text("#!/bin/sh\necho 'Failed to start' >&2\nexit 1\n")
    (tmp_path / "bin" / "systemd-run").chmod(0o755)
    end, output = login.run(dataclasses.replace(login.order(b"echo once"), detach="scope"))
    assert isinstance(end, End) and (end.exit_code, output.stdout) == (0, b"once\n")


def test_a_guard_in_a_scope_is_one_process_that_systemd_starts(tmp_path: Path) -> None:
    login = make_login(tmp_path, kind="perl")
    (tmp_path / "bin" / "systemd-run").write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/asked\n'
        'while [ "$1" != perl ]; do shift; done\nexec "$@"\n'
    )
    (tmp_path / "bin" / "systemd-run").chmod(0o755)
    order = dataclasses.replace(login.order(b"echo once"), detach="scope")
    end, output = login.run(order)
    assert isinstance(end, End) and (end.exit_code, output.stdout) == (0, b"once\n")
    asked = (tmp_path / "asked").read_text().splitlines()
    assert "--scope" in asked and f"--unit=opsportal-{order.attempt}" in asked
