"""A simulated Windows target, and pywinrm's own client to ask it with."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from winrm.protocol import Protocol

from opsportal.simulated_windows import Logins, Settings, SimulatedWindows
from tests.simulated_windows import recordings

USER, PASSWORD = "ops", "Simulated-1"
EASY = Logins(basic=True, allow_unencrypted=True)
Ran = tuple[bytes, bytes, int]
OPENED: list[Protocol] = []


@pytest.fixture
def windows() -> Iterator[SimulatedWindows]:
    """One that takes Basic in clear too."""
    with SimulatedWindows(Settings(logins=EASY)) as target:
        yield target


@pytest.fixture(autouse=True)
def opened() -> Iterator[list[Protocol]]:
    """The clients of a test. pywinrm closes their connections only with a shell, so some would stay open."""
    yield OPENED
    while OPENED:
        OPENED.pop().transport.close_session()


def remembered(protocol: Protocol) -> Protocol:
    OPENED.append(protocol)
    return protocol


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Raises AssertionError when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def client(target: SimulatedWindows, transport: Any = "basic", **options: Any) -> Protocol:
    given = {"username": USER, "password": PASSWORD, "proxy": None, "ca_trust_path": None} | options
    return remembered(Protocol(target.endpoint, transport=transport, **given))


def encoded(script: str) -> str:
    return (
        f"powershell.exe -NoProfile -EncodedCommand {base64.b64encode(script.encode('utf-16-le')).decode()}"
    )


def run(protocol: Protocol, line: str, *, stdin: bytes | None = None) -> Ran:
    """In a shell of its own, which is closed whatever happens."""
    shell = protocol.open_shell(codepage=65001)
    try:
        command = protocol.run_command(shell, line)
        if stdin is not None:
            protocol.send_command_input(shell, command, stdin, end=True)
        ran: Ran = protocol.get_command_output(shell, command)
        protocol.cleanup_command(shell, command)
        return ran
    finally:
        protocol.close_shell(shell)


@pytest.fixture
def ask(windows: SimulatedWindows) -> Callable[[str], Ran]:
    """Runs a PowerShell script on `windows`."""
    return lambda script: run(client(windows), encoded(script))


@pytest.fixture(scope="session")
def real_exchanges(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution that holds recordings of real Windows machines."""
    return recordings.fetch(tmp_path_factory.mktemp("recordings"))
