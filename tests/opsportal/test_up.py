"""`up` for real: processes are started, killed and stopped, and none may be left."""

import os
import pickle
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core import signing
from django.utils import timezone

from automation.workers.task_packages import pack
from opsportal.data_directory import read_env_file
from tests.opsportal.portal import (
    MANAGE,
    Portal,
    children,
    free_port,
    product_environment,
    state,
    wait_until,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[Portal]:
    portal = Portal(tmp_path / "data")
    yield portal
    portal.clean_up()


def test_up_makes_keys_and_an_administrator_and_ends_without_a_trace(portal: Portal) -> None:
    portal.start_and_wait()
    assert (portal.data / ".env").stat().st_mode & 0o777 == 0o600
    assert set(read_env_file(portal.data)) == {"OPSPORTAL_SECRET_KEY", "OPSPORTAL_ENCRYPTION_KEYS"}
    assert portal.output().count("sign in as `admin` with the password") == 1
    assert f"OpsPortal is ready: http://127.0.0.1:{portal.port}/" in wait_until(
        lambda: "is ready" in portal.output() and portal.output(), seconds=5, what="ready is not announced"
    )
    assert (
        len(portal.pids()) == 14
    )  # up, web, and two workers: main, sentinel, two processes, monitor, pusher
    assert portal.end() == 0
    assert portal.pids() == set()

    portal.start_and_wait("--workers", "2")
    assert portal.output().count("with the password") == 1
    assert portal.end(signal.SIGINT) == 0
    assert portal.pids() == set()


def test_every_process_ends_with_an_up_that_is_killed(portal: Portal) -> None:
    portal.start_and_wait()
    portal.end(signal.SIGKILL)
    wait_until(lambda: not portal.pids(), seconds=5, what="processes outlive `up`")


@pytest.mark.parametrize("victim", ["idle worker", "monitor", "pusher", "sentinel", "main"])
def test_a_cluster_that_loses_a_process_is_started_anew(portal: Portal, victim: str) -> None:
    portal.start_and_wait()
    main = portal.main_pid("opsworker", "execution")
    sentinel = children(main)[0]
    worker, _second, monitor, pusher = children(sentinel)
    lost = {"idle worker": worker, "monitor": monitor, "pusher": pusher, "sentinel": sentinel, "main": main}
    before = {main, sentinel, *children(sentinel)}
    os.kill(lost[victim], signal.SIGKILL)
    wait_until(lambda: not before & portal.pids(), seconds=15, what="orphans of the old cluster")
    wait_until(lambda: answers(portal, "execution"), seconds=15, what="the new cluster does not work")
    assert len(portal.pids()) == 14


@pytest.mark.parametrize("victim", ["web", "sentinel"])
def test_a_stopped_process_is_replaced(portal: Portal, victim: str) -> None:
    portal.start_and_wait()
    wait_until(lambda: "is ready" in portal.output(), seconds=10, what="not ready")
    pid = portal.main_pid("web") if victim == "web" else children(portal.main_pid("opsworker", "control"))[0]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: pid not in portal.pids(), seconds=30, what=f"{victim} still stopped: {state(pid)}")
    wait_until(portal.ready, seconds=15, what="not ready again")


def test_a_worker_command_started_by_hand_ends_in_good_order(tmp_path: Path) -> None:
    environment = product_environment(tmp_path)
    subprocess.run([sys.executable, MANAGE, "migrate", "-v0"], env=environment, check=True, timeout=60)
    command = [sys.executable, str(MANAGE), "opsworker", "control"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as worker:
        left = Portal(tmp_path)
        wait_until(lambda: len(left.pids()) == 6, seconds=30, what="the cluster is not complete")
        worker.terminate()
        assert worker.wait(15) == 0
    assert left.pids() == set()


def test_a_forged_pickle_in_the_queue_is_dropped_and_runs_nothing(portal: Portal) -> None:
    portal.start_and_wait()
    marker = portal.data / "executed"
    key = read_env_file(portal.data)["OPSPORTAL_SECRET_KEY"]

    class Exploit:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {marker}",)

    class PickleSerializer:
        def dumps(self, value: object) -> bytes:
            return pickle.dumps(value)

        def loads(self, data: bytes) -> object:
            raise NotImplementedError

    forged = signing.dumps(Exploit(), key=key, salt="opsportal", serializer=PickleSerializer)
    insert(portal, "execution", forged)
    wait_until(lambda: answers(portal, "execution"), seconds=15, what="the queue does not go on")
    assert rows(portal) == 0
    assert not marker.exists()


def test_up_refuses_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run_up(tmp_path, "--port", str(port))
    assert result.returncode == 1
    assert f"Port {port} is taken by another program" in result.stderr


def test_a_second_up_on_the_same_data_is_refused(portal: Portal) -> None:
    portal.start_and_wait()
    result = run_up(portal.data, "--port", str(free_port()))
    assert result.returncode == 1
    assert "already runs" in result.stderr


def run_up(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, MANAGE, "up", *arguments],
        env=product_environment(data),
        capture_output=True,
        text=True,
        timeout=60,
    )


def insert(portal: Portal, cluster: str, payload: str) -> None:
    with sqlite3.connect(portal.data / "opsportal.sqlite3", timeout=20) as database:
        database.execute(
            "INSERT INTO django_q_ormq (key, payload, lock) VALUES (?, ?, ?)",
            (cluster, payload, timezone.now().replace(tzinfo=None).isoformat(" ")),
        )
    database.close()


def rows(portal: Portal) -> int:
    database = sqlite3.connect(portal.data / "opsportal.sqlite3", timeout=20)
    try:
        count: int = database.execute("SELECT count(*) FROM django_q_ormq").fetchone()[0]
        return count
    finally:
        database.close()


def answers(portal: Portal, cluster: str) -> bool:
    """Whether a task put into this queue now is run."""
    key = read_env_file(portal.data)["OPSPORTAL_SECRET_KEY"]
    task = signing.dumps({"task": "probe", "number": 1}, key=key, salt="opsportal.queue")
    assert len(task) == len(pack("probe", 1))
    insert(portal, cluster, task)
    wait_until(lambda: rows(portal) == 0, seconds=10, what=f"the queue {cluster} is stuck")
    return True
