"""How long each phase of reaching a target may take, by our own clock and in total.

No library's own timeout is relied on: those bound single reads, so a target that drips one byte now and
then could hold a thread for ever.
"""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds for each phase, and how a silent connection is noticed.

    While a command runs, `keepalive` seconds of silence make us ask the target for a sign of life; after
    `keepalives_unanswered` questions without any answer the connection counts as lost. With the defaults
    that is 45 s after the last byte. Idle connections are watched by the kernel alone, at the same pace,
    so that hundreds of them cost nothing.
    """

    resolve: float = 5.0
    tcp: float = 5.0
    banner: float = 10.0
    key_exchange: float = 15.0
    login: float = 15.0
    channel: float = 10.0
    exec_answer: float = 10.0
    keepalive: float = 15.0
    keepalives_unanswered: int = 2

    @property
    def silence(self) -> float:
        """Seconds after which a connection that answers nothing counts as lost."""
        return self.keepalive * (self.keepalives_unanswered + 1)


def after(seconds: float) -> float:
    """The deadline that many seconds from now."""
    return time.monotonic() + seconds


def remaining(deadline: float) -> float:
    """Seconds until the deadline, never below zero."""
    return max(0.0, deadline - time.monotonic())
