"""What callers get back: frozen values that also read as dictionaries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from automation.libraries.envelope import Probe
from automation.libraries.errors import LibraryError


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """What became of one script on one target.

    `stdout` and `stderr` hold the beginning of each stream up to the library's cap; `stdout_dropped` and
    `stderr_dropped` count the bytes beyond it. `exit_code` is None when it is not known, `duration` is in
    seconds. A non-zero exit code is a result; `error` is set only where something went wrong between us and
    the target. `attempts` is 1, or 0 when nothing was sent: what may have run is never repeated.
    """

    stdout: bytes
    stderr: bytes
    exit_code: int | None
    duration: float
    attempts: int = 1
    stdout_dropped: int = 0
    stderr_dropped: int = 0
    error: LibraryError | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def success(self) -> bool:
        """The script ran to its end with exit code 0."""
        return self.error is None and self.exit_code == 0

    def as_dict(self) -> dict[str, Any]:
        """`success`, `error`, `error_code`, `stdout`, `stderr` (text), `exit_code`, `duration_seconds`,
        `attempts`, `details`."""
        return {
            "success": self.success,
            "error": str(self.error) if self.error is not None else None,
            "error_code": self.error.code if self.error is not None else None,
            "stdout": self.stdout.decode("utf-8", "replace"),
            "stderr": self.stderr.decode("utf-8", "replace"),
            "exit_code": self.exit_code,
            "duration_seconds": round(self.duration, 3),
            "attempts": self.attempts,
            "details": dict(self.details),
        }


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """One phase of a test: `ok`, the code of what went wrong, or `skipped` after an earlier phase failed.

    `message` says more where that helps.
    """

    name: str
    code: str
    duration: float
    message: str = ""

    def as_dict(self) -> dict[str, Any]:
        """`name`, `code`, `duration_seconds`, `message`."""
        return {
            "name": self.name,
            "code": self.code,
            "duration_seconds": round(self.duration, 3),
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class ConnectionTest:
    """How far a connection to a target gets, phase by phase, and the host key that it showed.

    `probes` is what was found for scripts, as the login and (`True`) as root, where that was asked for.
    """

    success: bool
    phases: tuple[PhaseResult, ...]
    duration: float
    error: LibraryError | None = None
    host_key: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    probes: dict[bool, Probe] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """`ok`, or the code of the phase that failed."""
        return self.error.code if self.error is not None else "ok"

    def as_dict(self) -> dict[str, Any]:
        """`success`, `message` or `error`, `error_code`, `duration_seconds`, `phases`, `host_key`,
        `details`."""
        outcome = {"message": "Connected"} if self.error is None else {"error": str(self.error)}
        return {
            "success": self.success,
            **outcome,
            "error_code": self.error.code if self.error is not None else None,
            "duration_seconds": round(self.duration, 3),
            "phases": [phase.as_dict() for phase in self.phases],
            "host_key": self.host_key,
            "details": dict(self.details),
        }
