"""Parts of the supervisor, with small processes of our own."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import DatabaseError

from opsportal.console import Console
from opsportal.lease_watch import LeaseWatch
from opsportal.process_groups import kill_session, living_sessions
from opsportal.supervised import FIRST_PAUSE, Supervised
from opsportal.worker_process import Periodic
from tests.opsportal.portal import wait_until

# A process with a child of its own that hears no SIGTERM.
STUBBORN = (
    "import os, signal, time; signal.signal(15, signal.SIG_IGN); os.fork(); print('up'); time.sleep(60)"
)


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path / "logs", io.StringIO())


@pytest.fixture
def child(console: Console) -> Iterator[Supervised]:
    child = Supervised("child", [sys.executable, "-uc", STUBBORN], dict(os.environ), console)
    child.start()
    yield child
    child.kill("the test ends")
    wait_until(lambda: not child.running or child.reap(), seconds=60, what="not reaped")


def session(child: Supervised) -> int:
    assert child.process is not None
    return child.process.pid


def test_a_killed_child_takes_its_whole_session_along(child: Supervised) -> None:
    its_session = session(child)
    wait_until(lambda: len(living_sessions()[its_session]) == 2, seconds=60, what="no second process")
    generation = child.generation
    child.kill("test")
    wait_until(child.reap, seconds=60, what="not reaped")
    assert its_session not in living_sessions()
    assert child.ended == [generation]
    assert child.start_at >= child.started + FIRST_PAUSE


def test_a_child_that_ended_by_itself_leaves_no_orphans(child: Supervised) -> None:
    its_session = session(child)
    wait_until(lambda: len(living_sessions()[its_session]) == 2, seconds=60, what="no second process")
    os.kill(its_session, signal.SIGKILL)
    wait_until(child.reap, seconds=60, what="not reaped")
    assert its_session not in living_sessions()


def test_each_start_has_a_name_of_its_own_and_quick_ends_grow_the_pause(console: Console) -> None:
    child = Supervised("brief", [sys.executable, "-c", ""], dict(os.environ), console)
    generations, pauses = set(), []
    for _ in range(3):
        child.start()
        generations.add(child.generation)
        wait_until(child.reap, seconds=60, what="not reaped")
        pauses.append(child.start_at - time.monotonic())
    assert len(generations) == 3
    assert pauses == sorted(pauses)


def test_a_stopped_process_counts_from_the_first_look(child: Supervised) -> None:
    assert child.stopped_for(100.0, living_sessions()) == 0
    os.kill(session(child), signal.SIGSTOP)
    wait_until(
        lambda: any(member.stopped for member in living_sessions()[session(child)]),
        seconds=60,
        what="it runs",
    )
    assert child.stopped_for(100.0, living_sessions()) == 0
    assert child.stopped_for(116.0, living_sessions()) == 16
    os.kill(session(child), signal.SIGCONT)
    wait_until(lambda: child.stopped_for(117.0, living_sessions()) == 0, seconds=60, what="still stopped")


def test_output_is_kept_in_a_file_without_control_characters(console: Console) -> None:
    program = r"print('a \x1b[2J b'); print('end')"
    child = Supervised("talker", [sys.executable, "-uc", program], dict(os.environ), console)
    child.start()
    file = console.logs / "talker.log"
    wait_until(lambda: file.exists() and "end" in file.read_text(), seconds=60, what="no output")
    assert file.read_text() == "a \\x1b[2J b\nend\n"
    wait_until(child.reap, seconds=60, what="not reaped")


def test_killing_a_session_that_is_empty_says_so() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    process.wait()
    assert kill_session(process.pid)


def test_a_child_is_killed_when_its_parent_is(tmp_path: Path) -> None:
    program = (
        "import os, time\n"
        "from opsportal.parent_death import end_with_parent\n"
        "me = os.getpid()\n"
        "if os.fork() == 0:\n"
        "    end_with_parent(me)\n"
        "    print(os.getpid(), flush=True)\n"
        "time.sleep(60)\n"
    )
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        orphan = int(process.stdout.readline())
        process.kill()
    wait_until(lambda: not alive(orphan), seconds=60, what="the child outlives its parent")


def alive(pid: int) -> bool:
    return any(member.pid == pid for members in living_sessions().values() for member in members)


def test_leases_end_however_often_the_database_fails_and_however_slow_it_is() -> None:
    ended: list[str] = []
    away, slow = threading.Event(), threading.Event()

    def end(worker_id: str) -> None:
        if not away.is_set():
            away.set()
            raise DatabaseError("away")
        slow.wait(10)
        ended.append(worker_id)

    watch = LeaseWatch(end=end, silent=lambda living, seconds: list(living))
    before = time.monotonic()
    watch.update(living=[], gone=["a"])
    assert watch.update(living=["b"], gone=[]) == []
    assert time.monotonic() - before < 1
    assert not watch.settle(0.1)
    slow.set()
    assert watch.settle(10)
    assert ended == ["a"]


def test_only_workers_that_still_live_are_told_as_silent() -> None:
    watch = LeaseWatch(end=lambda worker_id: None, silent=lambda living, seconds: list(living))
    wait_until(
        lambda: watch.update(living=["a", "b"], gone=[]) == ["a", "b"], seconds=60, what="nobody silent"
    )
    watch.update(living=["a", "b"], gone=[])
    time.sleep(1.5)
    assert watch.update(living=["b"], gone=["a"]) == ["b"]


def test_periodic_work_goes_on_after_a_failure() -> None:
    twice = threading.Event()
    calls: list[int] = []

    def work() -> None:
        calls.append(1)
        if len(calls) == 2:
            twice.set()
        raise RuntimeError("the database is away")

    periodic = Periodic(work, name="test", seconds=0.01)
    periodic.start()
    assert twice.wait(5)
    periodic.stop()
    assert not periodic.thread.is_alive()
