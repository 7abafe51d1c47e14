"""The test of a target: resolve, connect, greeting, identity, login, shell, each timed and coded.

Where it is asked for, also what changing steps need: sudo, a spool, and scripts that outlive a connection.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from automation.libraries.deadlines import Deadlines, after
from automation.libraries.envelope import Probe, probe
from automation.libraries.errors import EndMissing, HostKeyChanged, HostKeyUnknown, LibraryError
from automation.libraries.plain import run_plain
from automation.libraries.results import ConnectionTest, PhaseResult
from automation.libraries.ssh_connection import Carry, Phase, SSHConnection, connect
from automation.libraries.ssh_keys import load_private_key
from automation.libraries.ssh_login import KeyLoader
from automation.libraries.types import Credentials, Endpoint, Stream

PHASES: tuple[Phase, ...] = ("resolve", "tcp", "banner", "identity", "login", "shell")
BEHIND_A_BASTION: tuple[Phase, ...] = ("bastion", "tcp", "banner", "identity", "login", "shell")
FOR_CHANGES: tuple[Phase, ...] = ("sudo", "spool", "detaching")
SHELL_SECONDS = 15.0
PROOF = b'printf "%s\\n" "$BASH_VERSION"'


class _Course:
    """Where the test is, and what each phase took."""

    def __init__(self, clock: Callable[[], float], expected: tuple[Phase, ...]) -> None:
        self._clock = clock
        self._expected = expected
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
        return (*done, *(PhaseResult(name, "skipped", 0.0) for name in self._expected[len(done) :]))


def check_target(
    endpoint: Endpoint,
    credentials: Credentials,
    *,
    limits: Deadlines | None = None,
    load_key: KeyLoader = load_private_key,
    installation: str = "",
    try_sudo: bool = True,
    carry: Carry | None = None,
) -> ConnectionTest:
    """Log in on a connection of its own and start bash. Raises nothing of the family: the result tells.

    With an `installation`, whose name stands in the path of our spools, it is also found out what changing
    steps will find. Those phases tell, but a target without sudo is no failure. Without `try_sudo` that phase
    is skipped: sudo reports those who may not use it, each time they try.
    """
    started = time.monotonic()
    course = _Course(time.monotonic, BEHIND_A_BASTION if endpoint.via is not None else PHASES)
    error: LibraryError | None = None
    host_key = ""
    further = _Further(credentials, installation, try_sudo=try_sudo)
    phases: tuple[PhaseResult, ...] | None = None
    details: dict[str, Any] = {
        "protocol": "ssh",
        "port": endpoint.port,
        "auth_method": auth_method(credentials),
    }
    try:
        connection = connect(
            endpoint, credentials, limits=limits, load_key=load_key, on_phase=course.begin, carry=carry
        )
        try:
            host_key = connection.host_key
            course.begin("shell")
            details["test_output"] = _shell(connection)
            phases = course.phases(None)
            further.look(connection)
        finally:
            connection.close()
    except (HostKeyUnknown, HostKeyChanged) as fault:
        error, host_key = fault, fault.presented
    except LibraryError as fault:
        error = fault
    return ConnectionTest(
        success=error is None,
        phases=(*(phases or course.phases(error)), *further.phases()),
        duration=time.monotonic() - started,
        error=error,
        host_key=host_key,
        details=details,
        probes=further.probes,
    )


def _shell(connection: SSHConnection) -> str:
    said = bytearray()

    def hear(stream: Stream, data: bytes) -> None:
        said.extend(data[:200])

    end = run_plain(connection, PROOF, on_output=hear, timeout=SHELL_SECONDS, output_limit=4096)
    if end.exit_code != 0:
        raise EndMissing("bash did not run a simple command", sent=False)
    return f"bash {said.decode('utf-8', 'replace').strip()}"


class _Further:
    """What changing steps will find on the target."""

    def __init__(self, credentials: Credentials, installation: str, *, try_sudo: bool) -> None:
        self._credentials = credentials
        self._installation = installation
        self._try_sudo = try_sudo
        self._found: list[PhaseResult] = []
        self.probes: dict[bool, Probe] = {}

    def phases(self) -> tuple[PhaseResult, ...]:
        """Those there were, and the rest as skipped; none when nobody asked."""
        if not self._installation:
            return ()
        rest = FOR_CHANGES[len(self._found) :]
        return (*self._found, *(PhaseResult(name, "skipped", 0.0) for name in rest))

    def look(self, connection: SSHConnection) -> None:
        """Raises nothing of the family."""
        if not self._installation:
            return
        self._phase("sudo", lambda: self._sudo(connection))
        self._phase("spool", lambda: self._spool(connection))
        self._phase("detaching", self._detaching)

    def _phase(self, name: Phase, look: Callable[[], tuple[str, str]]) -> None:
        started = time.monotonic()
        try:
            code, message = look()
        except LibraryError as error:
            code, message = error.code, str(error)
        self._found.append(PhaseResult(name, code, time.monotonic() - started, message))

    def _sudo(self, connection: SSHConnection) -> tuple[str, str]:
        if not self._try_sudo:
            return "skipped", "Not known to work here, so only tried when a person asks."
        found = self._probe(connection, become=True)
        return "ok", f"scripts may run as {found.user}"

    def _spool(self, connection: SSHConnection) -> tuple[str, str]:
        found = self._probe(connection, become=False)
        if found.spool is None:
            return (
                "spool.missing",
                "No place is fit: a connection lost under a script leaves its end unknown.",
            )
        return "ok", found.spool

    def _detaching(self) -> tuple[str, str]:
        found = self.probes.get(False)
        if found is None:
            return "skipped", ""
        if found.survives_logout is False:
            return "detaching.ends_at_logout", "This target ends what a login leaves behind."
        return "ok", f"by {found.detach}"

    def _probe(self, connection: SSHConnection, *, become: bool) -> Probe:
        found = self.probes[become] = probe(
            connection,
            become=become,
            installation=self._installation,
            spool=None,
            deadline=after(SHELL_SECONDS),
            become_password=self._credentials.become_password if become else None,
        )
        return found


def auth_method(credentials: Credentials) -> str:
    """`certificate`, `key` or `password`: what a login with these credentials tries first."""
    if credentials.private_key is None:
        return "password"
    return "certificate" if credentials.certificate else "key"
