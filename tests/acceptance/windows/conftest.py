"""A mixed fleet: a real sshd, and a simulated Windows target that is a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings

from aiworkflows.automation_client import AutomationClient
from benchmarks.targets import Farm
from tests.acceptance.main_job.installation import Installation
from tests.acceptance.two_services.conftest import row
from tests.opsportal.portal import children

USER, PASSWORD = "ops", "Simulated-Windows-1"
LINES = 24
PAUSE = 0.25


@dataclass(frozen=True)
class SimulatedTarget:
    """Its address, and the file in which it notes each script that it starts."""

    port: int
    oracle: Path

    def starts(self) -> list[str]:
        """The attempts whose scripts were started, in that order."""
        if not self.oracle.exists():
            return []
        noted = [json.loads(line) for line in self.oracle.read_text(encoding="utf-8").splitlines()]
        return [effect["what"] for effect in noted if effect["kind"] == "script started"]


@pytest.fixture(scope="package")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedTarget]:
    """Plain HTTP, so that every message is encrypted by the login."""
    folder = tmp_path_factory.mktemp("windows")
    (folder / "users").write_text(json.dumps({USER: PASSWORD}))
    counting = [{"data": f"{number}\n", "after": PAUSE} for number in range(LINES)]
    (folder / "behaviours").write_text(json.dumps([{"pattern": "Count-Slowly", "pieces": counting}]))
    command = [sys.executable, "-m", "opsportal.simulated_windows", "--listen", "127.0.0.1:0"]
    for option in ("users", "behaviours", "oracle", "state"):
        command += [f"--{option}", str(folder / option)]
    (folder / "state").mkdir()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=settings.BASE_DIR, stdout=subprocess.PIPE, stderr=log)
    assert process.stdout is not None
    try:
        told = json.loads(process.stdout.readline())
        yield SimulatedTarget(port=told["port"], oracle=folder / "oracle")
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@pytest.fixture(scope="package")
def installation(
    tmp_path_factory: pytest.TempPathFactory, simulated: SimulatedTarget
) -> Iterator[Installation]:
    made = Installation(tmp_path_factory.mktemp("portal"))
    with Farm(tmp_path_factory.mktemp("farm"), 1) as farm:
        try:
            made.start()
            windows = {
                "name": "windows-1",
                "address": "127.0.0.1",
                "port": simulated.port,
                "platform": "windows",
                "transport": "winrm",
                "winrm": {"method": "ntlm", "https": False},
                "user": USER,
                "password": PASSWORD,
            }
            made.load({"hosts": [row(farm, 0), windows]})
            yield made
            made.portal.end()
        finally:
            made.portal.clean_up()


@pytest.fixture(scope="package")
def operator(installation: Installation) -> Iterator[AutomationClient]:
    token = installation.token(
        "olivia", "person", "runs:read", "runs:submit", "runs:control", "inventory:read"
    )
    with installation.client(token) as client:
        yield client


@pytest.fixture(scope="package")
def approver(installation: Installation) -> Iterator[AutomationClient]:
    token = installation.token("anna", "person", "runs:read", "runs:approve")
    with installation.client(token) as client:
        yield client


def kill_workers(installation: Installation) -> None:
    """SIGKILL for the whole execution cluster: its main process, sentinel, pusher, monitor and workers."""
    family = [installation.portal.main_pid("opsworker", "execution")]
    for pid in family:
        family += children(pid)
    for pid in family:
        os.kill(pid, signal.SIGKILL)
