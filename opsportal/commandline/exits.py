"""Exit codes: the result of a run, or why there is none."""

from enum import IntEnum


class Exit(IntEnum):
    """What a script may decide by."""

    SUCCEEDED = 0
    FAILED = 1
    PARTIAL = 2
    OTHER = 3  # cancelled, rejected, expired, broken; not over in the given time; interrupted
    REFUSED = 4  # wrong usage, no connection, or the portal refused what was asked


def exit_of(status: str) -> Exit:
    """The exit code for a run that ended with this status."""
    ends = {"succeeded": Exit.SUCCEEDED, "failed": Exit.FAILED, "partial": Exit.PARTIAL}
    return ends.get(status, Exit.OTHER)


class UsageError(Exception):
    """What was typed, or how this machine is set up, cannot work; `next_step` says what to do."""

    def __init__(self, cause: str, next_step: str) -> None:
        super().__init__(cause)
        self.next_step = next_step
