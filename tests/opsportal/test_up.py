"""`up` for real: processes are started, killed and stopped, and none may be left."""

import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core import signing
from django.utils import timezone

from aiworkflows.planners.runbooks import load_runbooks
from automation.workers.task_packages import SALT
from opsportal.data_directory import read_env_file
from tests.database import execute_in
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
LONG = 90.0  # seconds; only ever waited out when something is broken, however busy the machine


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
    [[workflows]] = execute_in(portal.data, "SELECT count(*) FROM automation_workflow")
    assert workflows == len(load_runbooks())
    assert f"OpsPortal is ready: http://127.0.0.1:{portal.port}/" in wait_until(
        lambda: "is ready" in portal.output() and portal.output(), seconds=LONG, what="ready is not announced"
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
    wait_until(lambda: not portal.pids(), seconds=LONG, what="processes outlive `up`")


@pytest.mark.parametrize("victim", ["idle worker", "monitor", "pusher", "sentinel", "main"])
def test_a_cluster_that_loses_a_process_is_started_anew(portal: Portal, victim: str) -> None:
    portal.start_and_wait()
    main = portal.main_pid("opsworker", "execution")
    sentinel = children(main)[0]
    worker, _second, monitor, pusher = children(sentinel)
    lost = {"idle worker": worker, "monitor": monitor, "pusher": pusher, "sentinel": sentinel, "main": main}
    before = {main, sentinel, *children(sentinel)}
    os.kill(lost[victim], signal.SIGKILL)
    wait_until(lambda: not before & portal.pids(), seconds=LONG, what="orphans of the old cluster")
    run_a_task(portal, "execution")
    assert len(portal.pids()) == 14


@pytest.mark.parametrize("victim", ["web", "sentinel"])
def test_a_stopped_process_is_replaced(portal: Portal, victim: str) -> None:
    portal.start_and_wait()
    wait_until(lambda: "is ready" in portal.output(), seconds=LONG, what="not ready")
    pid = portal.main_pid("web") if victim == "web" else children(portal.main_pid("opsworker", "control"))[0]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: pid not in portal.pids(), seconds=LONG, what=f"{victim} still stopped: {state(pid)}")
    wait_until(portal.ready, seconds=LONG, what="not ready again")


def test_a_worker_command_started_by_hand_ends_in_good_order(tmp_path: Path) -> None:
    environment = product_environment(tmp_path)
    subprocess.run([sys.executable, MANAGE, "migrate", "-v0"], env=environment, check=True, timeout=60)
    command = [sys.executable, str(MANAGE), "opsworker", "control"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as worker:
        left = Portal(tmp_path)
        wait_until(lambda: len(left.pids()) == 6, seconds=LONG, what="the cluster is not complete")
        worker.terminate()
        assert worker.wait(LONG) == 0
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
    row = insert(portal, "execution", forged)
    wait_until(lambda: not in_queue(portal, row), seconds=LONG, what="the forged row stays")
    run_a_task(portal, "execution")
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


def insert(portal: Portal, cluster: str, payload: str) -> int:
    """The id of a new row in the queue."""
    now = timezone.now().replace(tzinfo=None).isoformat(" ")
    statement = "INSERT INTO django_q_ormq (key, payload, lock) VALUES (?, ?, ?) RETURNING id"
    ((row,),) = execute_in(portal.data, statement, cluster, payload, now)
    return int(row)


def in_queue(portal: Portal, row: int) -> bool:
    return bool(execute_in(portal.data, "SELECT 1 FROM django_q_ormq WHERE id = ?", row))


def run_a_task(portal: Portal, cluster: str) -> None:
    """Put a task into this queue and wait until it has been run."""
    key = read_env_file(portal.data)["OPSPORTAL_SECRET_KEY"]
    row = insert(portal, cluster, signing.dumps({"task": "probe", "number": 1}, key=key, salt=SALT))
    wait_until(lambda: not in_queue(portal, row), seconds=LONG, what=f"the queue {cluster} is stuck")
