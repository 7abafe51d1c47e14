"""A script runs once, as it was written, and everything it said comes back."""

from __future__ import annotations

import random
import resource
from pathlib import Path

import pytest

from automation.libraries.envelope import End
from tests.libraries.envelope.login import Login, eventually, processes_with, soon


def ended(code: int = 0, **changes: object) -> object:
    """An end as it should be, with the lengths of `out` and `err`."""
    return ("ended", code, changes)


def test_a_script_runs_in_any_shell(any_login: Login) -> None:
    end, output = any_login.run(b'echo out; echo err >&2; echo "a=b" >>"$OPSPORTAL_OUTPUT"; exit 3')
    assert end == End("ended", 3, {"a": "b"}, 4, 4, ())
    assert (output.stdout, output.stderr) == (b"out\n", b"err\n")


def test_all_bytes_reach_the_script_and_come_back(any_login: Login) -> None:
    every = bytes(range(1, 256))
    _, output = any_login.run(b"cat <<'END'\n" + every + b"\nEND\nprintf '\\0tail\\n\\n'")
    assert output.stdout == every + b"\n\0tail\n\n"


@pytest.mark.parametrize("code", [0, 1, 2, 91, 125, 126, 127, 128, 137, 254, 255])
def test_an_exit_code_is_kept(login: Login, code: int) -> None:
    end, _ = login.run(b"exit %d" % code)
    assert isinstance(end, End) and (end.how, end.exit_code) == ("ended", code)


@pytest.mark.parametrize("number", [2, 9, 15])
def test_a_script_that_a_signal_killed_has_128_more(login: Login, number: int) -> None:
    end, _ = login.run(b"kill -%d $$; sleep 5" % number)
    assert isinstance(end, End) and end.exit_code == 128 + number


def test_a_script_needs_no_last_newline_and_may_end_in_a_comment(login: Login) -> None:
    _, output = login.run(b"echo one\necho two # three")
    assert output.stdout == b"one\ntwo\n"


def test_a_last_backslash_joins_nothing_of_ours(login: Login) -> None:
    _, output = login.run(b"echo one\\")
    assert b"#" not in output.stdout


def test_a_script_that_reads_its_input_finds_it_empty(login: Login) -> None:
    end, output = login.run(b"cat; read line; echo $?; exit 0")
    assert isinstance(end, End) and output.stdout == b"1\n"


def test_errexit_ends_the_script_alone(login: Login) -> None:
    end, output = login.run(b"set -e\necho before\nfalse\necho after")
    assert isinstance(end, End) and (end.exit_code, output.stdout) == (1, b"before\n")


def test_a_syntax_error_is_the_scripts_own_failure(login: Login) -> None:
    end, output = login.run(b"echo before\nif then")
    assert isinstance(end, End) and end.how == "ended" and end.exit_code != 0
    assert b"syntax error" in output.stderr


def test_a_megabyte_of_script_arrives(any_login: Login) -> None:
    _, output = any_login.run("# ö漢🙂\n".encode() * 90_000 + "echo 'ö漢🙂'".encode())
    assert output.stdout == "ö漢🙂\n".encode()


def test_the_script_has_the_logins_own_ways(tmp_path: Path) -> None:
    from tests.libraries.envelope.conftest import make_login

    login = make_login(tmp_path, LC_ALL="C.UTF-8", line="mine")
    _, output = login.run(
        b'umask; pwd; trap; echo "$LC_ALL $line"; ls /proc/self/fd | wc -l; grep SigIgn /proc/self/status'
    )
    umask, folder, locale, descriptors, ignored = output.stdout.decode().splitlines()
    assert (umask, folder, locale) == ("0022", str(tmp_path / "home"), "C.UTF-8 mine")
    assert descriptors == "4"
    assert int(ignored.split()[1], 16) == 0


def test_the_script_can_trap_an_interrupt(login: Login) -> None:
    _, output = login.run(b"trap 'echo caught' INT; kill -INT $$; echo after")
    assert output.stdout == b"caught\nafter\n"


def test_outputs_are_kept_to_the_byte(login: Login) -> None:
    script = "printf 'a=1\\nbad line\\na= two = 2 \\nu=ö\\nx=\\n9z=no\\nlast=end' >>\"$OPSPORTAL_OUTPUT\""
    end, _ = login.run(script.encode())
    assert isinstance(end, End) and end.outputs == {"a": " two = 2 ", "u": "ö", "x": "", "last": "end"}


def test_outputs_beyond_the_limit_are_cut_at_a_line(login: Login) -> None:
    end, _ = login.run(b'for i in $(seq 9000); do echo "k$i=value"; done >>"$OPSPORTAL_OUTPUT"')
    assert isinstance(end, End) and end.outputs_cut
    assert set(end.outputs.values()) == {"value"}


def test_a_hundred_megabytes_pass_in_bounded_memory(login: Login) -> None:
    from automation.libraries.envelope import Control, run

    seen = {"stdout": 0, "stderr": 0}

    def count(stream: str, data: bytes) -> None:
        seen[stream] += len(data)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    end = run(
        login.connection,
        login.order(b"head -c 104857600 /dev/zero; echo done >&2"),
        on_started=lambda: None,
        on_output=count,
        control=Control(),
        deadline=soon(60),
    )
    assert isinstance(end, End) and (end.stdout_length, end.stderr_length) == (104857600, 5)
    assert seen == {"stdout": 104857600, "stderr": 5}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024


def test_output_comes_while_the_script_runs(login: Login, tmp_path: Path) -> None:
    import threading

    from automation.libraries.envelope import Control, run

    gate, heard = tmp_path / "gate", threading.Event()
    thread = threading.Thread(
        target=run,
        args=(login.connection, login.order(b"echo now; until [ -e %s ]; do sleep 0.05; done" % bytes(gate))),
        kwargs={
            "on_started": lambda: None,
            "on_output": lambda _stream, _data: heard.set(),
            "control": Control(),
            "deadline": soon(),
        },
    )
    thread.start()
    assert heard.wait(5)
    gate.touch()
    thread.join()


def test_nothing_secret_is_to_be_seen_while_the_script_runs(login: Login, tmp_path: Path) -> None:
    import threading

    secret = f"hunter{random.getrandbits(64)}"
    gate, up = tmp_path / "gate", tmp_path / "up"
    script = f"password='{secret}'\ntouch {up}\nuntil [ -e {gate} ]; do sleep 0.05; done".encode()
    order = login.order(script)
    thread = threading.Thread(target=login.run, args=(order,))
    thread.start()
    eventually(up.exists)
    seen = b""
    for folder in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                seen += (folder / name).read_bytes()
            except OSError:
                continue
    for path in login.directory(order.attempt).rglob("*"):
        seen += path.read_bytes() if path.is_file() else b""
    gate.touch()
    thread.join()
    assert order.attempt.encode() in seen
    assert secret.encode() not in seen


def test_forgotten_attempts_go_and_running_ones_stay(login: Login) -> None:
    import dataclasses

    old, live = login.order(b"true"), login.order(b"true")
    login.run(old)
    login.run(live)
    next(login.directory(live.attempt).glob("exit.*")).rename(login.directory(live.attempt) / "running")
    login.run(dataclasses.replace(login.order(b"true"), forget=(old.attempt, live.attempt)))
    eventually(lambda: not login.directory(old.attempt).exists())
    assert login.directory(live.attempt).exists()


def test_writing_to_dev_stderr_by_name_cuts_nothing(any_login: Login) -> None:
    _, output = any_login.run(b"echo one >&2; echo two >/dev/stderr; echo three >/dev/stdout; echo four >&2")
    assert (output.stdout, output.stderr) == (b"three\n", b"one\ntwo\nfour\n")


def test_a_daemon_that_keeps_the_output_open_does_not_hold_the_end(any_login: Login, tmp_path: Path) -> None:
    end, output = any_login.run(b"echo all; setsid sleep 3 & exit 6")
    assert isinstance(end, End) and (end.how, end.exit_code, output.stdout) == ("ended", 6, b"all\n")
    eventually(lambda: not processes_with(any_login.mark))
