"""What a library keeps of a script's output, and how the end of a script becomes a result."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from automation.libraries.errors import CommandCancelled, CommandTimeout, LibraryError, OutputLimit
from automation.libraries.plain import PlainEnd
from automation.libraries.results import ExecutionResult
from automation.libraries.types import OnOutput, Stream

KEPT = 10 * 1024 * 1024
"""Bytes of each stream that a result holds."""
OUTPUT_LIMIT = 1024 * 1024 * 1024
"""Bytes of output after which a script is stopped."""


@dataclass
class Collected:
    """Collects one script's output, up to the cap, and passes it on."""

    on_output: OnOutput | None

    def __post_init__(self) -> None:
        # Unlike a bytearray, it gives its bytes away without a second copy of them.
        self.kept: dict[Stream, io.BytesIO] = {"stdout": io.BytesIO(), "stderr": io.BytesIO()}
        self.dropped: dict[Stream, int] = {"stdout": 0, "stderr": 0}

    def hear(self, stream: Stream, data: bytes) -> None:
        room = max(0, KEPT - self.kept[stream].tell())
        self.kept[stream].write(data[:room])
        self.dropped[stream] += max(0, len(data) - room)
        if self.on_output is not None:
            self.on_output(stream, data)

    def result(
        self, exit_code: int | None, duration: float, details: dict[str, Any], error: LibraryError | None
    ) -> ExecutionResult:
        return ExecutionResult(
            stdout=self.kept["stdout"].getvalue(),
            stderr=self.kept["stderr"].getvalue(),
            exit_code=exit_code,
            duration=duration,
            attempts=0 if error is not None and not error.sent else 1,
            stdout_dropped=self.dropped["stdout"],
            stderr_dropped=self.dropped["stderr"],
            error=error,
            details=details,
        )


def fault_of(end: PlainEnd, timeout: float) -> LibraryError | None:
    """The error of a script that we ended ourselves; None for one that came to its own end."""
    hint = "It was ended" if end.confirmed else "Whether it has ended is not known"
    if end.how == "timed_out":
        return CommandTimeout(f"The script did not end within {timeout:g} s", cause_hint=hint)
    if end.how == "cancelled":
        return CommandCancelled("The script was stopped on request", cause_hint=hint)
    if end.how == "output_limit":
        return OutputLimit(f"The script wrote more than {OUTPUT_LIMIT} bytes", cause_hint=hint)
    return None
