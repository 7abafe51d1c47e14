"""A simulated Windows target, and the library in front of it. Message encryption is on: nothing is easier."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from automation.libraries.envelope import Control, End, Fenced, Order, Probe, Refused
from automation.libraries.types import Credentials, Stream
from automation.libraries.windows import envelope
from automation.libraries.windows.connection import WinRMConnection, connect
from automation.libraries.windows.envelope import Ids
from automation.libraries.windows.script import pack_script
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


@dataclass
class Caller:
    """One worker: a connection of its own, and what it heard."""

    target: SimulatedWindows
    heard: list[tuple[Stream, bytes]] = field(default_factory=list)
    started: threading.Event = field(default_factory=threading.Event)
    control: Control = field(default_factory=Control)
    intents: list[Ids] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connection: WinRMConnection = connect(endpoint_of(self.target), OPS)

    def hear(self, stream: Stream, data: bytes) -> None:
        self.heard.append((stream, data))

    @property
    def output(self) -> bytes:
        return b"".join(data for stream, data in self.heard if stream == "stdout")

    def order(self, script: str, *, attempt: str = "", timeout: float = 20) -> Order:
        found = self.probe()
        return Order(
            attempt=attempt or uuid.uuid4().hex,
            installation="test",
            payload=pack_script(script),
            timeout=timeout,
            spool=found.spool,
            spool_id=found.spool_id or "",
        )

    def probe(self) -> Probe:
        return envelope.probe(self.connection, installation="test", spool=None, deadline=time.monotonic() + 9)

    def run(self, order: Order) -> End | Refused:
        return envelope.run(
            self.connection,
            order,
            on_started=self.started.set,
            on_output=self.hear,
            control=self.control,
            deadline=time.monotonic() + 30,
            on_intent=self.intents.append,
        )

    def reclaim(
        self, order: Order, *, age: float = 1.0, seen: int = 0, ids: Ids | None = None
    ) -> Fenced | End:
        return envelope.reclaim(
            self.connection,
            order.attempt,
            intent_age=age,
            spool=order.spool or "",
            spool_id=order.spool_id,
            offsets=(seen, 0),
            on_output=self.hear,
            control=self.control,
            deadline=time.monotonic() + 10,
            ids=ids,
        )


@pytest.fixture
def caller(windows: SimulatedWindows) -> Iterator[Caller]:
    found = Caller(windows)
    yield found
    found.connection.close()


def verbs(target: SimulatedWindows) -> list[str]:
    """What the target was asked for, in short."""
    return [re.sub(r"[^A-Za-z]", "", call.verb) for call in target.calls]
