"""Stopping: cancel, timeout and limits end all of a script's processes, and say what got away."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from automation.libraries.envelope import Control, End, Refused
from tests.libraries.envelope.conftest import make_login
from tests.libraries.envelope.login import Login, eventually, processes_with


def run_and_cancel(login: Login, script: bytes, ready: Path, *, grace: float = 1) -> End:
    """Cancel the script once it has made the file `ready`."""
    control, results = Control(), []
    thread = threading.Thread(
        target=lambda: results.append(login.run(login.order(script, grace=grace), control)[0])
    )
    thread.start()
    eventually(ready.exists)
    control.cancel()
    thread.join()
    (end,) = results
    assert isinstance(end, End)
    return end


def test_a_cancel_ends_children_and_grandchildren(any_login: Login, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = b"(sleep 61 & sleep 62 & wait) & sleep 63 & touch %s; wait" % bytes(ready)
    end = run_and_cancel(any_login, script, ready)
    assert (end.how, end.exit_code, end.left) == ("cancelled", 143, ())
    assert not [line for line in processes_with(any_login.mark) if line.startswith("sleep 6")]


def test_a_script_that_ignores_the_request_is_killed(any_login: Login, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    end = run_and_cancel(
        any_login, b"trap '' TERM; touch %s; while :; do sleep 0.1; done" % bytes(ready), ready
    )
    assert (end.how, end.exit_code) == ("cancelled", 137)


def test_a_script_may_tidy_up_in_its_grace(login: Login, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = b"trap 'echo k=v >>$OPSPORTAL_OUTPUT; exit 9' TERM; touch %s; sleep 60 & wait"
    end = run_and_cancel(login, script % bytes(ready), ready, grace=5)
    assert (end.how, end.exit_code, end.outputs) == ("cancelled", 9, {"k": "v"})


def test_a_stopped_process_cannot_hide_from_the_request(login: Login, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    end = run_and_cancel(login, b"touch %s; kill -STOP $$" % bytes(ready), ready, grace=20)
    assert (end.how, end.exit_code) == ("cancelled", 143)


def test_an_escaped_daemon_is_named_and_left_alone(any_login: Login, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = b"setsid sleep 300 & sleep 0.3; touch %s; sleep 60" % bytes(ready)
    end = run_and_cancel(any_login, script, ready)
    (name,) = end.left
    command, pid = name.split(":")
    os.kill(int(pid), signal.SIGKILL)
    assert command == "sleep"


def test_a_script_that_kills_its_group_does_not_reach_the_guard(login: Login) -> None:
    end, _ = login.run(b"trap '' TERM; kill 0; echo still; kill -9 0")
    assert isinstance(end, End) and (end.how, end.exit_code) == ("ended", 137)


def test_the_step_ends_at_its_timeout(any_login: Login) -> None:
    end, output = any_login.run(any_login.order(b"echo begun; sleep 60", timeout=1))
    assert isinstance(end, End) and (end.how, end.exit_code, output.stdout) == ("timed_out", 143, b"begun\n")


def test_the_caller_can_say_that_the_time_is_over(login: Login, tmp_path: Path) -> None:
    control = Control()
    results: list[object] = []
    order = login.order(b"touch %s; sleep 60" % bytes(tmp_path / "ready"))
    thread = threading.Thread(target=lambda: results.append(login.run(order, control)[0]))
    thread.start()
    eventually((tmp_path / "ready").exists)
    control.expire()
    thread.join()
    assert isinstance(results[0], End) and results[0].how == "timed_out"


def test_a_cancel_before_the_start_sends_nothing(login: Login) -> None:
    control = Control()
    control.cancel()
    order = login.order(b"true")
    assert login.run(order, control)[0] == Refused("cancelled")
    assert not login.directory(order.attempt).exists()


@pytest.mark.parametrize("number", range(8))
def test_a_cancel_at_any_moment_leaves_a_true_end(login: Login, number: int) -> None:
    control = Control()
    threading.Timer(number * 0.004, control.cancel).start()
    end, _ = login.run(login.order(b"sleep 0.02; sleep 0.02"), control)
    assert end == Refused("cancelled") or (isinstance(end, End) and (end.how, end.exit_code) in CANCEL_ENDS)


CANCEL_ENDS = [("cancelled", 143), ("cancelled", 0), ("ended", 0)]


def test_too_much_output_ends_the_script(login: Login) -> None:
    order = dataclasses.replace(
        login.order(b"while :; do echo xxxxxxxxxxxxxxxxxxx; done"), output_limit=100_000
    )
    end, output = login.run(order)
    assert isinstance(end, End) and end.how == "output_limit"
    assert len(output.stdout) == end.stdout_length > 100_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m,noexec", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_the_end_is_recorded_on_a_full_disk(small_disk: Path) -> None:
    login = make_login(small_disk)
    script = b'head -c 100M /dev/zero >%s; echo lost; echo a=b >>"$OPSPORTAL_OUTPUT"; exit 5'
    order = login.order(script % bytes(small_disk / "fill"))
    end, _ = login.run(order)
    assert isinstance(end, End) and (end.how, end.exit_code) == ("ended", 5)
    again, _ = login.reclaim(order.attempt)
    assert isinstance(again, End) and again.exit_code == 5


def test_a_cancel_works_on_a_full_disk(small_disk: Path) -> None:
    login = make_login(small_disk)
    ready = small_disk / "ready"
    script = b"head -c 100M /dev/zero >%s; touch %s; sleep 60" % (bytes(small_disk / "fill"), bytes(ready))
    end = run_and_cancel(login, script, ready)
    assert (end.how, end.exit_code) == ("cancelled", 143)


def test_a_script_that_fills_the_disk_with_output_is_ended_before_it_is_full(small_disk: Path) -> None:
    login = make_login(small_disk)
    end, _ = login.run(b"while :; do head -c 500k /dev/zero; sleep 0.005; done")
    assert isinstance(end, End) and end.how == "output_limit"


def test_a_disk_too_full_for_an_attempt_refuses_it(small_disk: Path) -> None:
    login = make_login(small_disk)
    with (small_disk / "fill").open("wb") as fill:
        subprocess.run(["head", "-c", "100M", "/dev/zero"], stdout=fill, stderr=fill, check=False)
    answer, _ = login.run(b"true")
    assert answer == Refused("spool.full") or (isinstance(answer, End) and answer.how == "ended")
