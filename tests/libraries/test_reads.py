"""Many reading scripts on one connection: a program waits for them, and is gone when anything else runs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from automation.libraries.deadlines import after
from automation.libraries.errors import ConnectionLost
from automation.libraries.plain import PlainEnd, PlainRun
from automation.libraries.reads import Reads
from automation.libraries.ssh_connection import SSHConnection, connect
from tests.libraries.sshd import Sshd
from tests.libraries.test_plain import Listener

pytestmark = pytest.mark.usefixtures("nothing_left")

PARENT = "echo $PPID"


@pytest.fixture
def connection(sshd: Sshd) -> Iterator[SSHConnection]:
    opened = connect(sshd.endpoint(), sshd.credentials)
    yield opened
    opened.close()


def read(connection: SSHConnection, script: str) -> str:
    listener = Listener()
    end = run(connection, script, listener)
    assert end.exit_code == 0
    return listener.stdout.decode().strip()


def run(connection: SSHConnection, script: str, listener: Listener | None = None) -> PlainEnd:
    return connection.reads.run(PlainRun(script.encode(), listener or Listener(), 20, 1 << 30))


def is_gone(pid: str) -> bool:
    end = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and "State:\tZ" not in Path(f"/proc/{pid}/status").read_text():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_from_the_second_script_on_one_program_starts_them_all(connection: SSHConnection) -> None:
    first, *others = (read(connection, PARENT) for _ in range(4))
    assert len(set(others)) == 1
    assert first not in others


def test_the_program_says_in_the_list_of_processes_what_it_is(connection: SSHConnection) -> None:
    read(connection, "true")
    assert "opsportal: waits for reading scripts" in read(connection, "tr '\\0' ' ' </proc/$PPID/cmdline")


def test_one_script_leaves_nothing_for_the_next(connection: SSHConnection) -> None:
    read(connection, "true")
    before = read(
        connection, "pwd; umask; env | grep -v ^OPSPORTAL_OUTPUT= | sort; ulimit -n; ls /proc/self/fd"
    )
    read(connection, "cd /; umask 0; export LEFT=over; ulimit -n 64; exec 9</dev/null; trap '' INT TERM")
    again = read(
        connection, "pwd; umask; env | grep -v ^OPSPORTAL_OUTPUT= | sort; ulimit -n; ls /proc/self/fd"
    )
    assert again == before


def test_what_an_earlier_script_left_running_writes_into_no_later_one(connection: SSHConnection) -> None:
    read(connection, "true")
    left = "trap '' PIPE; while sleep 0.02; do echo late; echo late=1 >>\"$OPSPORTAL_OUTPUT\"; done"
    before = run(connection, f'( {left} ) & echo $! >>"$OPSPORTAL_OUTPUT"')
    try:
        listener = Listener()
        end = run(connection, "sleep 0.3; echo mine", listener)
        assert (listener.stdout, listener.stderr, end.outputs) == (b"mine\n", b"", b"")
    finally:
        os.kill(int(before.outputs.split()[0]), signal.SIGKILL)


def test_any_other_command_ends_it_so_that_its_changes_are_seen(
    connection: SSHConnection, sshd: Sshd
) -> None:
    read(connection, "true")
    program = read(connection, PARENT)
    (sshd.home / ".bashrc").write_text("export NEWS=here\n")
    try:
        connection.open_channel("true", deadline=after(10)).close()
        assert is_gone(program)
        assert read(connection, 'echo "$NEWS"') == "here"
    finally:
        (sshd.home / ".bashrc").unlink()


def test_after_a_minute_it_is_replaced(connection: SSHConnection) -> None:
    now = 0.0
    reads = Reads(connection, clock=lambda: now)

    def parent() -> bytes:
        listener = Listener()
        reads.run(PlainRun(PARENT.encode(), listener, 20, 1000))
        return listener.stdout

    parent()
    first = parent()
    now = 59.0
    assert parent() == first
    now = 61.0
    assert parent() != first


def test_it_goes_with_its_connection_and_leaves_no_file(sshd: Sshd) -> None:
    connection = connect(sshd.endpoint(), sshd.credentials)
    read(connection, "true")
    program, outputs = read(connection, 'echo $PPID; echo "$OPSPORTAL_OUTPUT"').split()
    connection.close()
    assert is_gone(program)
    assert not Path(outputs).parent.exists()


def test_a_program_that_was_killed_while_it_waited_is_replaced(connection: SSHConnection) -> None:
    read(connection, "true")
    program = read(connection, PARENT)
    read(connection, f"( sleep 0.2; kill -9 {program} ) >/dev/null 2>&1 &")
    assert is_gone(program)
    time.sleep(0.1)
    assert read(connection, PARENT) != program


def test_a_script_that_kills_the_program_is_lost_and_the_next_one_runs(connection: SSHConnection) -> None:
    read(connection, "true")
    with pytest.raises(ConnectionLost):
        run(connection, "kill -9 $PPID; sleep 1")
    assert read(connection, "echo here") == "here"


def test_without_perl_each_goes_on_a_channel_of_its_own(connection: SSHConnection, sshd: Sshd) -> None:
    (sshd.home / "bin").mkdir()
    (sshd.home / "bin" / "perl").symlink_to("/nonexistent")
    (sshd.home / "bin" / "perl").unlink()
    (sshd.home / "bin" / "perl").write_text("#!/bin/sh\nexit 127\n")
    (sshd.home / "bin" / "perl").chmod(0o755)
    try:
        assert [read(connection, "echo here") for _ in range(3)] == ["here"] * 3
        assert connection.reads.in_vain
    finally:
        (sshd.home / "bin" / "perl").unlink()
        (sshd.home / "bin").rmdir()


def test_where_each_bash_reads_a_file_first_its_words_stay_out_of_the_output(tmp_path: Path) -> None:
    greeting = tmp_path / "greeting"
    greeting.write_text("echo welcome\n")
    server = Sshd(tmp_path, "PermitUserEnvironment yes")
    ssh_folder = server.home / ".ssh"
    ssh_folder.mkdir()
    try:
        (server.home / ".bashrc").write_text(f"export BASH_ENV={greeting}\n")
        connection = connect(server.endpoint(), server.credentials)
        assert [read(connection, "echo mine") for _ in range(3)] == ["mine"] * 3
        connection.close()
    finally:
        server.stop()


def test_where_one_channel_is_allowed_reading_and_changing_take_turns(tmp_path: Path) -> None:
    server = Sshd(tmp_path, "MaxSessions 1")
    try:
        connection = connect(server.endpoint(), server.credentials)
        for _ in range(2):
            assert [read(connection, "echo here") for _ in range(3)] == ["here"] * 3
            connection.open_channel("true", deadline=after(10)).close()
        connection.close()
    finally:
        server.stop()
