"""What I/O threads report to the thread that writes."""

from __future__ import annotations

from dataclasses import dataclass

from automation.libraries.envelope import End, Probe
from automation.libraries.errors import LibraryError
from automation.libraries.types import Stream
from automation.workers.local_files import Landing


@dataclass(frozen=True, slots=True)
class Connected:
    """The target proved its identity and let us in."""

    position: int
    probe: Probe | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """The attempt, or its connection, failed before anything was sent."""

    position: int
    error: LibraryError


@dataclass(frozen=True, slots=True)
class Started:
    """The target says that the script is starting."""

    position: int
    attempt: str


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes of one stream, in order."""

    position: int
    attempt: str
    stream: Stream
    data: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """A framed end record arrived."""

    position: int
    attempt: str
    end: End
    landed: Landing | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """It may have been sent, and the channel is gone."""

    position: int
    attempt: str
    error: LibraryError


@dataclass(frozen=True, slots=True)
class Refused:
    """The guard did not start this try, and never will."""

    position: int
    attempt: str
    reason: str


@dataclass(frozen=True, slots=True)
class Fenced:
    """The try can never start; `proven` says whether it is certain that it never had."""

    position: int
    attempt: str
    proven: bool


@dataclass(frozen=True, slots=True)
class Broke:
    """Our own code failed in an I/O thread."""

    position: int
    attempt: str | None
    error: Exception


@dataclass(frozen=True, slots=True)
class LeaseLapsed:
    """Nothing was sent: when the moment came, the lease was over."""

    position: int


Message = LeaseLapsed | Connected | NotSent | Started | Output | Ended | Lost | Refused | Fenced | Broke
