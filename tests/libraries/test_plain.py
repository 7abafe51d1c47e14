"""A script over one channel: whole or not at all, nothing of it visible, and its end proved."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from automation.libraries.errors import (
    BecomeFailed,
    BecomePasswordRequired,
    ConnectionLost,
    LibraryError,
    ShellUnusable,
)
from automation.libraries.framing import StreamReader
from automation.libraries.plain import PlainEnd, PlainRun, command_line, run_plain
from automation.libraries.reads import Reads
from automation.libraries.ssh_connection import SSHConnection, connect
from automation.libraries.types import Connection, Endpoint, Stream
from credentials.secret import Secret
from tests.libraries.faulty import Cable, serving
from tests.libraries.sshd import Sshd


@dataclass
class Listener:
    heard: dict[Stream, bytearray] = field(
        default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()}
    )

    def __call__(self, stream: Stream, data: bytes) -> None:
        self.heard[stream] += data

    @property
    def stdout(self) -> bytes:
        return bytes(self.heard["stdout"])

    @property
    def stderr(self) -> bytes:
        return bytes(self.heard["stderr"])


@dataclass
class Stop:
    """A control as the workers have one."""

    cancelled: bool = False
    expired: bool = False
    wake: Callable[[], None] | None = None

    def attach(self, wake: Callable[[], None]) -> None:
        self.wake = wake

    def cancel(self) -> None:
        self.cancelled = True
        if self.wake is not None:
            self.wake()


@pytest.fixture(scope="module", params=["channel of its own", "kept channel"])
def connection(sshd: Sshd, request: pytest.FixtureRequest) -> Iterator[Connection | Reads]:
    """Where scripts run: each on a channel of its own, or all by the program that waits for reading ones."""
    opened = connect(sshd.endpoint(), sshd.credentials)
    if request.param == "kept channel":
        opened.reads.run(PlainRun(b"true", Listener(), 20, 1000))  # the first goes the other way
        yield opened.reads
        assert not opened.reads.in_vain
    else:
        yield opened
    opened.close()


@pytest.fixture(scope="module")
def own_channels(sshd: Sshd) -> Iterator[SSHConnection]:
    opened = connect(sshd.endpoint(), sshd.credentials)
    yield opened
    opened.close()


def run(
    connection: Connection | Reads,
    script: str | bytes,
    listener: Listener | None = None,
    *,
    timeout: float = 20,
    output_limit: int = 1 << 30,
    **options: object,
) -> PlainEnd:
    payload = script.encode() if isinstance(script, str) else script
    if isinstance(connection, Reads):
        heard = listener or Listener()
        return connection.run(PlainRun(payload, heard, timeout, output_limit, **options))  # type: ignore[arg-type]
    return run_plain(
        connection,
        payload,
        on_output=listener or Listener(),
        timeout=timeout,
        output_limit=output_limit,
        **options,  # type: ignore[arg-type]
    )


def test_output_exit_code_and_outputs_come_back(connection: Connection | Reads) -> None:
    listener = Listener()
    end = run(connection, 'echo out; echo err >&2; echo "a=1" >> "$OPSPORTAL_OUTPUT"; exit 7', listener)
    assert end == PlainEnd("ended", 7, b"a=1\n", False, 4, 4, True)
    assert (listener.stdout, listener.stderr) == (b"out\n", b"err\n")


def test_output_without_a_last_newline_is_exact(connection: Connection | Reads) -> None:
    listener = Listener()
    run(connection, r"printf 'a\036OPSPORTAL b'; printf 'c\036' >&2", listener)
    assert (listener.stdout, listener.stderr) == (b"a\x1eOPSPORTAL b", b"c\x1e")


def test_binary_output_is_exact(connection: Connection | Reads) -> None:
    listener = Listener()
    run(connection, r"for i in 0 1 2 3; do printf '\000\377\036\n'; done", listener)
    assert listener.stdout == b"\x00\xff\x1e\n" * 4


def test_a_script_reads_nothing_of_itself(connection: Connection | Reads) -> None:
    listener = Listener()
    assert run(connection, "cat; echo after", listener).exit_code == 0
    assert listener.stdout == b"after\n"


def test_a_script_shows_in_no_argument_list_and_no_file(connection: Connection | Reads) -> None:
    listener = Listener()
    run(connection, "# hunter2 \ncat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c hunter[2]", listener)
    assert listener.stdout == b"0\n"


def test_the_script_has_no_variables_of_ours_in_its_environment(connection: Connection | Reads) -> None:
    listener = Listener()
    run(connection, "env | grep -v ^OPSPORTAL_OUTPUT= | grep -ci opsportal; echo $#$-", listener)
    assert listener.stdout.splitlines()[0] == b"0"


def test_quotes_dollars_and_backslashes_are_taken_as_they_are(connection: Connection | Reads) -> None:
    listener = Listener()
    run(connection, """x='$HOME "`id`" \\\\'; printf '%s' "$x" "don't !!" """, listener)
    assert listener.stdout == b"""$HOME "`id`" \\\\don't !!"""


def test_a_script_of_a_megabyte_runs(connection: Connection | Reads) -> None:
    listener = Listener()
    end = run(connection, "x='" + "ä" * 500_000 + "'\nLC_ALL=C; echo ${#x}\n\n\n", listener)
    assert (end.exit_code, listener.stdout) == (0, b"1000000\n")


def test_exit_exec_and_syntax_errors_end_the_script_not_the_proof(connection: Connection | Reads) -> None:
    assert run(connection, "set -e; trap 'echo bye' EXIT; false; echo no").exit_code == 1
    assert run(connection, "exec true").exit_code == 0
    assert run(connection, "exec 1>&- 2>&-").exit_code == 0
    assert run(connection, "echo 'unclosed").exit_code == 2
    assert run(connection, "kill -9 $BASHPID").exit_code == 137


def test_streams_can_be_opened_by_name(connection: Connection | Reads) -> None:
    listener = Listener()
    run(connection, "echo a > /dev/stdout; echo b > /dev/stderr; echo c; echo d >&2", listener)
    assert (listener.stdout, listener.stderr) == (b"a\nc\n", b"b\nd\n")


def test_something_left_in_the_background_does_not_hold_the_end_up(connection: Connection | Reads) -> None:
    started = time.monotonic()
    assert run(connection, "sleep 20 & echo started").exit_code == 0
    assert time.monotonic() - started < 10


def test_outputs_are_cut_at_64_kib_and_the_file_is_gone(connection: Connection | Reads) -> None:
    listener = Listener()
    end = run(
        connection, 'head -c 70000 /dev/zero >> "$OPSPORTAL_OUTPUT"; echo "$OPSPORTAL_OUTPUT"', listener
    )
    assert (len(end.outputs), end.outputs_cut) == (65536, True)
    assert not Path(listener.stdout.decode().strip()).exists()


def test_a_script_that_takes_too_long_is_ended_with_all_it_started(connection: Connection | Reads) -> None:
    listener = Listener()
    started = time.monotonic()
    end = run(connection, "sleep 61 & echo $!; sleep 62; echo no", listener, timeout=0.5)
    assert time.monotonic() - started < 10
    assert (end.how, end.exit_code, end.confirmed) == ("timed_out", 143, True)
    gone = f"grep -qs '^State:.[^Z]' /proc/{listener.stdout.decode().strip()}/status || exit 9"
    assert run(connection, f"for i in $(seq 30); do {gone}; sleep 0.1; done").exit_code == 9


def test_a_script_that_ignores_the_request_is_killed(connection: Connection | Reads) -> None:
    end = run(connection, "trap '' TERM; while :; do sleep 0.2; done", timeout=0.3)
    assert (end.how, end.exit_code, end.confirmed) == ("timed_out", 137, True)


def test_a_cancelled_script_ends_within_a_second(connection: Connection | Reads) -> None:
    stop = Stop()
    threading.Timer(0.4, stop.cancel).start()
    started = time.monotonic()
    end = run(connection, "sleep 60", control=stop)
    assert time.monotonic() - started < 5
    assert (end.how, end.confirmed) == ("cancelled", True)


def test_a_script_cancelled_before_it_began_is_ended_too(connection: Connection | Reads) -> None:
    assert run(connection, "sleep 60", control=Stop(cancelled=True)).how == "cancelled"


def test_endless_output_is_stopped_at_the_limit(connection: Connection | Reads) -> None:
    listener = Listener()
    end = run(connection, "yes", listener, output_limit=100_000)
    assert (end.how, end.confirmed) == ("output_limit", True)
    assert 100_000 < len(listener.stdout) < 300_000


def test_a_script_ends_when_its_connection_does(sshd: Sshd, tmp_path: Path) -> None:
    connection = connect(sshd.endpoint(), sshd.credentials)
    alive = tmp_path / "alive"
    threading.Timer(0.5, connection.close).start()
    with pytest.raises(ConnectionLost) as caught:
        run(connection, f"while :; do date +%N > {alive}; sleep 0.05; done")
    assert caught.value.sent
    time.sleep(0.5)
    before = alive.read_text()
    time.sleep(0.3)
    assert alive.read_text() == before


def test_half_a_script_never_runs(sshd: Sshd, tmp_path: Path) -> None:
    cable = Cable(sshd.port)
    with serving(cable) as port:
        connection = connect(Endpoint("127.0.0.1", port, (sshd.host_key(),)), sshd.credentials)
        threading.Timer(0.2, connection.close).start()
        script = f"touch {tmp_path}/ran\n: '" + "x" * 30_000_000 + "'"
        with pytest.raises(LibraryError):
            run(connection, script)
    time.sleep(0.3)
    assert not (tmp_path / "ran").exists()


def test_a_talkative_login_shell_stays_out_of_the_output(sshd: Sshd) -> None:
    (sshd.home / ".bashrc").write_text("echo welcome; echo careful >&2; cd /tmp\n")
    try:
        connection = connect(sshd.endpoint(), sshd.credentials)
        listener = Listener()
        assert run(connection, "echo mine; echo too >&2", listener).exit_code == 0
        assert (listener.stdout, listener.stderr) == (b"mine\n", b"too\n")
        connection.close()
    finally:
        (sshd.home / ".bashrc").unlink()


@pytest.mark.parametrize("forced", ["/bin/true", "/bin/echo hello", "/bin/cat"])
def test_another_command_in_our_place_is_never_taken_for_success(tmp_path: Path, forced: str) -> None:
    server = Sshd(tmp_path, extra=f"ForceCommand {forced}")
    try:
        connection = connect(server.endpoint(), server.credentials)
        with pytest.raises(ShellUnusable) as caught:
            run(connection, "echo mine", timeout=2)
        assert caught.value.sent is False
        assert "mine" not in str(caught.value)
        connection.close()
    finally:
        server.stop()


def test_a_nul_byte_is_refused(connection: Connection | Reads) -> None:
    with pytest.raises(ValueError, match="NUL"):
        run(connection, b"echo \0")


SUDO = """#!/bin/sh
# Stands in for sudo: reads its password line or leaves it, as the mode says, then runs what follows "--".
mode=$(cat "$HOME/mode")
case $mode in
  asks) echo "sudo: a password is required" >&2; exit 1;;
  refuses) echo "root is not in the sudoers file." >&2; echo "sudo: no" >&2; exit 1;;
  reads) IFS= read -r line
    [ "$line" = "right" ] || { echo "sudo: 1 incorrect password attempt" >&2; exit 1; };;
esac
while [ "$1" != "--" ]; do shift; done; shift
exec "$@"
"""


@pytest.fixture
def sudo(sshd: Sshd) -> Iterator[Callable[[str], None]]:
    folder = sshd.home / "bin"
    folder.mkdir()
    script = folder / "sudo"
    script.write_text(SUDO)
    script.chmod(0o755)

    def behave(mode: str) -> None:
        (sshd.home / "mode").write_text(mode)

    yield behave
    script.unlink()
    folder.rmdir()


def test_a_sudo_that_asks_for_a_password_is_named_and_nothing_ran(
    own_channels: SSHConnection, sudo: Callable[[str], None]
) -> None:
    sudo("asks")
    with pytest.raises(BecomePasswordRequired) as caught:
        run(own_channels, "echo mine", become=True)
    assert not caught.value.sent


def test_a_sudo_that_refuses_is_named_and_nothing_ran(
    own_channels: SSHConnection, sudo: Callable[[str], None]
) -> None:
    sudo("refuses")
    with pytest.raises(BecomeFailed) as caught:
        run(own_channels, "echo mine", become=True)
    assert not caught.value.sent


@pytest.mark.parametrize("mode", ["reads", "free"])
def test_the_sudo_password_never_reaches_the_script(
    own_channels: SSHConnection, sudo: Callable[[str], None], mode: str
) -> None:
    sudo(mode)
    listener = Listener()
    end = run(own_channels, "cat; set; echo done", listener, become=True, become_password=Secret("right"))
    assert end.exit_code == 0
    assert b"done" in listener.stdout
    assert b"right" not in listener.stdout


def test_a_wrong_sudo_password_is_named(own_channels: SSHConnection, sudo: Callable[[str], None]) -> None:
    sudo("reads")
    with pytest.raises(BecomeFailed, match="password"):
        run(own_channels, "echo mine", become=True, become_password=Secret("hunter2"))


@pytest.mark.parametrize("login_shell", [["bash"], ["dash"], ["busybox", "sh"], ["tcsh"]], ids=" ".join)
def test_any_login_shell_takes_the_command_line(login_shell: list[str]) -> None:
    nonce = b"0123456789abcdef"
    body = b"echo mine; echo $((1 + 1))"
    with subprocess.Popen(
        [*login_shell, "-c", command_line(become=False, with_password=False)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write(b"OPSPORTAL %s %d\n%s%s" % (nonce, len(body) + len(nonce), body, nonce))
        shell.stdin.flush()  # and left open, as a running command's is
        reader = StreamReader(nonce)
        assert reader.feed(shell.stdout.read()) == b"mine\n2\n"
        assert (reader.exit_code, reader.finished) == (0, True)
