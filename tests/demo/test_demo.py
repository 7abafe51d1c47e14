"""`./ops demo`, whole: as root and as an ordinary user, succeeding, failing, and refusing."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from django.conf import settings

from opsportal.demo.hosts import NEW, OLD
from opsportal.demo.windows import USUAL_PORT
from tests.demo.ordinary_user import USER_ID, run_as_ordinary_user
from tests.opsportal.portal import MANAGE, Portal, free_port, product_environment, wait_until

pytestmark = pytest.mark.slow
LONG = 180.0
CHANGED = f"succeeded and verified: {OLD} -> {NEW}"


def demo(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(MANAGE), "demo", "--data", str(data), "--port", str(free_port()), *words],
        env=product_environment(data),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONG,
    )


def assert_told(output: str) -> None:
    for told in (
        "practice hosts",
        "update nginx on web servers",
        "token that can never approve",
        "apt-get -q -y",
        "tagged practice-host",
        "approvals",
        "--once: approved by the demo itself, as demo-approver",
        "| Setting up nginx",
        "demo-operator",
        "demo-viewer",
        "The dashboard: http://127.0.0.1:",
        "Linux and Windows in one run",
        "WinRM and its login are real, Windows and PowerShell are played",
        "simulated-windows  | W3SVC is Running, restarting it",
        "nothing of it runs any more",
    ):
        assert told in output
    assert "ops_" not in output.replace("ops_demo", "")  # no token is ever shown


@contextmanager
def port_taken(port: int) -> Iterator[None]:
    """Something listens there, if only another demo."""
    with socket.socket() as taken:
        with suppress(OSError):
            taken.bind(("127.0.0.1", port))
            taken.listen()
        yield


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "demo"
    portal = Portal(tmp_path / "demo")
    left = portal.pids()
    portal.clean_up()
    assert left == set()


def test_once_updates_every_practice_host_and_leaves_nothing_behind(data: Path) -> None:
    done = demo(data, "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert_told(done.stdout)
    assert [name for name in ("web-1", "web-2", "web-3") if f"{name}  {CHANGED}" in done.stdout] == [
        "web-1",
        "web-2",
        "web-3",
    ]
    for name in ("web-1", "web-2", "web-3"):
        package = data / "practice" / name / "root/var/lib/practice/packages/nginx"
        assert package.read_text() == f"ii {NEW}\n"
    _, _, mixed = done.stdout.partition("Run 2: succeeded")  # Linux and simulated Windows
    for name in ("simulated-windows", "web-1", "web-2", "web-3"):
        assert f"\n  {name}  succeeded\n" in mixed


def test_a_broken_practice_host_is_undone_and_the_others_finish(data: Path) -> None:
    with port_taken(USUAL_PORT):
        done = demo(data, "--once", "--break", "web-2")
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"Port {USUAL_PORT} is taken by another program: simulated-windows gets port" in done.stdout
    assert "\nRun 2: succeeded\n" in done.stdout
    assert "web-2  failed in 'update', exit 100, put back as it was" in done.stdout
    package = data / "practice/web-2/root/var/lib/practice/packages/nginx"
    assert package.read_text() == f"ii {OLD}\n"


def test_a_broken_canary_stops_the_run(data: Path) -> None:
    done = demo(data, "--once", "--break", "web-1")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "web-3  not touched: the rollout had stopped" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="without root this very process is the ordinary user")
def test_an_ordinary_user_may_do_it_too() -> None:
    place = Path(tempfile.mkdtemp(prefix="opsportal-demo-", dir="/var/tmp"))
    os.chown(place, USER_ID, USER_ID)
    environment = {"HOME": str(place), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    try:
        done = run_as_ordinary_user(
            [
                sys.executable,
                str(MANAGE),
                "demo",
                "--data",
                str(place / "demo"),
                "--once",
                "--port",
                str(free_port()),
            ],
            needed=[Path(settings.BASE_DIR), Path(sys.prefix), Path(sys.base_prefix), place],
            environment=environment,
            seconds=LONG,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert_told(done.stdout)
        assert done.stdout.count(CHANGED) == 3
        assert (place / "demo").stat().st_uid == USER_ID
    finally:
        shutil.rmtree(place)


def test_without_a_terminal_it_waits_for_the_browser_and_ends_on_a_signal(data: Path, tmp_path: Path) -> None:
    port, output = free_port(), tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, str(MANAGE), "demo", "--data", str(data), "--port", str(port)],
            env=product_environment(data),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until(lambda: "no terminal" in output.read_text(), seconds=LONG, what="it does not wait")
            second = demo(data, "--once")
            assert second.returncode == 1
            assert "Another demo already runs" in second.stderr
            assert (data / "opsportal.sqlite3").exists()
        finally:
            process.send_signal(signal.SIGINT)
            status = process.wait(60)
    assert status == 0
    assert "What happens" not in output.read_text()


def test_a_folder_that_is_not_a_demos_is_never_wiped(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    refused = demo(tmp_path, "--once")
    assert refused.returncode == 1
    assert "holds something other than a demo" in refused.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["precious"]


def test_without_bubblewrap_it_says_what_to_install_and_runs_nothing(data: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(MANAGE), "demo", "--data", str(data), "--once", "--port", str(free_port())],
        env={**product_environment(data), "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=LONG,
    )
    assert done.returncode == 3
    assert "sudo apt-get install -y bubblewrap" in done.stderr
    assert not (data / "practice").exists()
