"""One script on many targets at once, each target's outcome kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from automation.libraries.linux_ssh import LinuxSSHLibrary
from automation.libraries.results import ExecutionResult
from automation.libraries.types import Credentials, Endpoint
from automation.libraries.windows_powershell import WindowsPowerShellLibrary


@dataclass(frozen=True, slots=True)
class ParallelTarget:
    """One of the targets: how to reach it, as whom, and what to call it in the results."""

    name: str
    target_host: str | Endpoint
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class ParallelResult:
    """The outcome on each target by name, in the order in which the targets were given."""

    results: dict[str, ExecutionResult]
    duration: float

    @property
    def successful(self) -> int:
        """Targets on which the script ended with exit code 0."""
        return sum(result.success for result in self.results.values())

    @property
    def success(self) -> bool:
        """The script ended with exit code 0 on every target."""
        return self.successful == len(self.results)

    def as_dict(self) -> dict[str, Any]:
        """`success`, `total_targets`, `successful_count`, `failed_count`, `results`, `summary`."""
        total, good = len(self.results), self.successful
        return {
            "success": self.success,
            "total_targets": total,
            "successful_count": good,
            "failed_count": total - good,
            "results": [{"target_name": name, **r.as_dict()} for name, r in self.results.items()],
            "summary": f"{good} of {total} targets succeeded in {self.duration:.1f} s",
        }


def execute_bash_parallel(
    targets: Iterable[ParallelTarget],
    script: str | bytes,
    *,
    max_concurrent: int = 50,
    library: LinuxSSHLibrary | None = None,
    **options: Any,
) -> ParallelResult:
    """Run `script` on all targets, at most `max_concurrent` at once, and wait for all of them.

    `options` are those of `LinuxSSHLibrary.execute_bash`. An error on one target is its result and touches
    no other. Raises ValueError when two targets have the same name.
    """
    runner = library or LinuxSSHLibrary()

    def run(target: ParallelTarget) -> ExecutionResult:
        return runner.execute_bash(
            target.target_host, script, target.credentials, **{**options, "raise_errors": False}
        )

    return _on_all(targets, run, max_concurrent)


def execute_powershell_parallel(
    targets: Iterable[ParallelTarget],
    script: str | bytes,
    *,
    max_concurrent: int = 50,
    library: WindowsPowerShellLibrary | None = None,
    **options: Any,
) -> ParallelResult:
    """The same for Windows targets; `options` are those of `WindowsPowerShellLibrary.execute_powershell`."""
    runner = library or WindowsPowerShellLibrary()

    def run(target: ParallelTarget) -> ExecutionResult:
        return runner.execute_powershell(
            target.target_host, script, target.credentials, **{**options, "raise_errors": False}
        )

    return _on_all(targets, run, max_concurrent)


def _on_all(
    targets: Iterable[ParallelTarget], run: Callable[[ParallelTarget], ExecutionResult], max_concurrent: int
) -> ParallelResult:
    wanted = list(targets)
    if len({target.name for target in wanted}) != len(wanted):
        raise ValueError("two targets have the same name")
    started = time.monotonic()
    with ThreadPoolExecutor(max(1, min(max_concurrent, len(wanted)))) as pool:
        outcomes = list(pool.map(run, wanted))
    results = {target.name: outcome for target, outcome in zip(wanted, outcomes, strict=True)}
    return ParallelResult(results, time.monotonic() - started)
