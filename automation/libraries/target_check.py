"""The test of a target: resolve, connect, greeting, identity, login, shell, each timed and coded."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, get_args

from automation.libraries.deadlines import Deadlines
from automation.libraries.errors import EndMissing, HostKeyChanged, HostKeyUnknown, LibraryError
from automation.libraries.plain import run_plain
from automation.libraries.results import ConnectionTest, PhaseResult
from automation.libraries.ssh_connection import Phase, SSHConnection, connect
from automation.libraries.ssh_keys import load_private_key
from automation.libraries.ssh_login import KeyLoader
from automation.libraries.types import Credentials, Endpoint, Stream

PHASES: tuple[Phase, ...] = get_args(Phase)
SHELL_SECONDS = 15.0
PROOF = b'printf "%s\\n" "$BASH_VERSION"'


class _Course:
    """Where the test is, and what each phase took."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started: list[tuple[Phase, float]] = []

    def begin(self, phase: Phase) -> None:
        self._started.append((phase, self._clock()))

    def phases(self, error: LibraryError | None) -> tuple[PhaseResult, ...]:
        ends = [at for _, at in self._started[1:]] + [self._clock()]
        done = [
            PhaseResult(phase, "ok", end - at) for (phase, at), end in zip(self._started, ends, strict=True)
        ]
        if error is not None and done:
            done[-1] = PhaseResult(done[-1].name, error.code, done[-1].duration)
        return (*done, *(PhaseResult(name, "skipped", 0.0) for name in PHASES[len(done) :]))


def check_target(
    endpoint: Endpoint,
    credentials: Credentials,
    *,
    limits: Deadlines | None = None,
    load_key: KeyLoader = load_private_key,
) -> ConnectionTest:
    """Log in on a connection of its own and start bash. Raises nothing of the family: the result tells."""
    started = time.monotonic()
    course = _Course(time.monotonic)
    error: LibraryError | None = None
    host_key = ""
    details: dict[str, Any] = {
        "protocol": "ssh",
        "port": endpoint.port,
        "auth_method": auth_method(credentials),
    }
    try:
        connection = connect(endpoint, credentials, limits=limits, load_key=load_key, on_phase=course.begin)
        try:
            host_key = connection.host_key
            course.begin("shell")
            details["test_output"] = _shell(connection)
        finally:
            connection.close()
    except (HostKeyUnknown, HostKeyChanged) as fault:
        error, host_key = fault, fault.presented
    except LibraryError as fault:
        error = fault
    return ConnectionTest(
        success=error is None,
        phases=course.phases(error),
        duration=time.monotonic() - started,
        error=error,
        host_key=host_key,
        details=details,
    )


def _shell(connection: SSHConnection) -> str:
    said = bytearray()

    def hear(stream: Stream, data: bytes) -> None:
        said.extend(data[:200])

    end = run_plain(connection, PROOF, on_output=hear, timeout=SHELL_SECONDS, output_limit=4096)
    if end.exit_code != 0:
        raise EndMissing("bash did not run a simple command", sent=False)
    return f"bash {said.decode('utf-8', 'replace').strip()}"


def auth_method(credentials: Credentials) -> str:
    """`key` or `password`: what a login with these credentials tries first."""
    return "key" if credentials.private_key is not None else "password"
