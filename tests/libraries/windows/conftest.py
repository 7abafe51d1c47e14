"""A simulated Windows target, and the library in front of it. Message encryption is on: nothing is easier."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from automation.libraries.types import Credentials
from automation.libraries.windows.connection import WinRMConnection, connect
from automation.libraries.windows.types import WindowsCredentials, WinRMEndpoint
from automation.libraries.windows_powershell import PowerShellResult, WindowsPowerShellLibrary
from credentials.secret import Secret
from opsportal.simulated_windows import Settings, SimulatedWindows
from tests.libraries.windows.certificates import Authority

OPS = WindowsCredentials("ops", password=Secret("Simulated-1"))
Run = Callable[..., PowerShellResult]


def endpoint_of(target: SimulatedWindows, **how: Any) -> WinRMEndpoint:
    """Plain HTTP with NTLM and message encryption, unless told otherwise."""
    given: dict[str, Any] = {"https": target.settings.tls, "method": "ntlm"} | how
    return WinRMEndpoint(target.host, target.port, **given)


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority("OpsPortal test authority")


@pytest.fixture
def windows() -> Iterator[SimulatedWindows]:
    with SimulatedWindows(Settings()) as target:
        yield target


@pytest.fixture
def run(windows: SimulatedWindows) -> Run:
    """Runs a script on `windows`."""

    def execute(script: str | bytes, credentials: Credentials = OPS, **options: Any) -> PowerShellResult:
        library = WindowsPowerShellLibrary()
        return library.execute_powershell(endpoint_of(windows), script, credentials, **options)

    return execute


@pytest.fixture
def connection(windows: SimulatedWindows) -> Iterator[WinRMConnection]:
    opened = connect(endpoint_of(windows), OPS)
    yield opened
    opened.close()


def verbs(target: SimulatedWindows) -> list[str]:
    """What the target was asked for, in short."""
    return [re.sub(r"[^A-Za-z]", "", call.verb) for call in target.calls]
