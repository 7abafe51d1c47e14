"""The test of a Windows target: resolve, TCP, TLS, protocol, credential, shell, each timed and coded."""

from __future__ import annotations

import time
from typing import Any

from automation.libraries.deadlines import Deadlines, after
from automation.libraries.errors import HostKeyChanged, LibraryError
from automation.libraries.host_key_scan import ScannedKey
from automation.libraries.resolution import resolve
from automation.libraries.results import ConnectionTest, PhaseResult
from automation.libraries.types import Credentials, Stream
from automation.libraries.windows.connection import WinRMConnection, connect
from automation.libraries.windows.errors import PowerShellUnusable, TLSFailed, TLSUntrusted
from automation.libraries.windows.plain import run_powershell
from automation.libraries.windows.script import pack_script
from automation.libraries.windows.tls import presented_by
from automation.libraries.windows.types import Phase, WinRMEndpoint
from automation.libraries.wire import dial

SHELL_SECONDS = 30.0
PROOF = "Write-Output 'PowerShell runs'"


class _Course:
    """Where the test is, and what each phase took. Plain HTTP has no TLS phase."""

    def __init__(self, *, https: bool) -> None:
        names: tuple[Phase, ...] = ("resolve", "tcp", "tls", "protocol", "credential", "shell")
        self._names = [name for name in names if https or name != "tls"]
        self._started: list[tuple[Phase, float]] = []

    def begin(self, phase: Phase) -> None:
        self._started.append((phase, time.monotonic()))

    def phases(self, error: LibraryError | None) -> tuple[PhaseResult, ...]:
        ends = [*(at for _, at in self._started[1:]), time.monotonic()][: len(self._started)]
        done = [
            PhaseResult(name, "ok", end - at) for (name, at), end in zip(self._started, ends, strict=True)
        ]
        if error is not None and done:
            done[-1] = PhaseResult(done[-1].name, error.code, done[-1].duration)
        return (*done, *(PhaseResult(name, "skipped", 0.0) for name in self._names[len(done) :]))


def check_windows_target(
    endpoint: WinRMEndpoint, credentials: Credentials, *, limits: Deadlines | None = None
) -> ConnectionTest:
    """Log in on a connection of its own and start PowerShell. Raises nothing of the family."""
    limits = limits or Deadlines()
    started = time.monotonic()
    course = _Course(https=endpoint.https)
    error: LibraryError | None = None
    details: dict[str, Any] = {
        "protocol": "winrm",
        "port": endpoint.port,
        "https": endpoint.https,
        "message_encryption": endpoint.sealed,
        "auth_method": endpoint.method,
    }
    try:
        connection = connect(endpoint, credentials, limits=limits, on_phase=course.begin)
        try:
            # Basic and certificate logins are judged with the first request that carries them.
            connection.warm_up()
            course.begin("shell")
            details["test_output"] = _shell(connection)
        finally:
            connection.close()
    except LibraryError as fault:
        error = fault
    phases = course.phases(error)
    shown = _presented(endpoint, error, limits) if endpoint.https else ""
    return ConnectionTest(
        success=error is None,
        phases=phases,
        duration=time.monotonic() - started,
        error=error,
        host_key=shown,
        details=details,
    )


def scan_certificate(endpoint: WinRMEndpoint, *, limits: Deadlines | None = None) -> tuple[ScannedKey, ...]:
    """The certificate that the target shows, as a pin; nothing is sent to it and nothing believed.

    None over plain HTTP, where no certificate is. Raises what happens before TLS, and `TLSFailed`.
    """
    if not endpoint.https:
        return ()
    shown = _shown(endpoint, limits or Deadlines())
    if not shown:
        raise TLSFailed("The target showed no certificate")
    return (ScannedKey(shown),)


def _shown(endpoint: WinRMEndpoint, limits: Deadlines) -> str:
    addresses = resolve(endpoint.host, endpoint.port, deadline=after(limits.resolve))
    with dial(addresses, limits, deadline=after(limits.tcp)) as wire:
        return presented_by(wire, endpoint, deadline=after(limits.key_exchange))


def _shell(connection: WinRMConnection) -> str:
    said = bytearray()

    def hear(_stream: Stream, data: bytes) -> None:
        said.extend(data[:200])

    payload = pack_script(PROOF)
    end = run_powershell(connection, payload, on_output=hear, timeout=SHELL_SECONDS, output_limit=4096)
    if end.exit_code != 0:
        raise PowerShellUnusable("PowerShell did not run a simple command", sent=False)
    return said.decode("utf-8", "replace").strip()


def _presented(endpoint: WinRMEndpoint, error: LibraryError | None, limits: Deadlines) -> str:
    """The certificate to compare and pin, where the test came as far as TLS."""
    if isinstance(error, HostKeyChanged):
        return error.presented
    if (
        error is not None
        and not isinstance(error, TLSUntrusted)
        and error.code.startswith(("target.", "resolve.", "connect.", "tls.", "credential.", "auth.insecure"))
    ):
        return ""
    try:
        shown = _shown(endpoint, limits)
    except LibraryError:
        return ""
    if isinstance(error, TLSUntrusted):
        error.presented = shown
    return shown
