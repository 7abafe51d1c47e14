"""The jobs of I/O threads: connect, run a body, read on after a loss. They know no database.

Each job ends with exactly one message in the inbox, whatever happens, so the writing thread always knows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext

from automation.libraries.connection_manager import ConnectionManager
from automation.libraries.envelope import End
from automation.libraries.errors import LibraryError
from automation.libraries.outputs import read_outputs
from automation.libraries.plain import PlainEnd
from automation.libraries.types import Stream
from automation.workers.inbox import Crew, Inbox
from automation.workers.messages import (
    Broke,
    Connected,
    Ended,
    Fenced,
    LeaseLapsed,
    Lost,
    Message,
    NotSent,
    Output,
    Refused,
    Started,
)
from automation.workers.transports import MARGIN_SECONDS, Address, Errand, Reclaim, Session, session


class Wire:
    """Hands jobs to the crew. `may_send` is asked right before sending: a woken zombie starts nothing."""

    def __init__(
        self, crew: Crew, inbox: Inbox, manager: ConnectionManager, *, may_send: Callable[[], bool]
    ) -> None:
        self._crew = crew
        self._inbox = inbox
        self._manager = manager
        self._may_send = may_send

    def connect(self, address: Address, *, probe: bool, become: bool, installation: str) -> None:
        """Log in, and learn the target's spool where that is not known yet."""

        def job(target: Session) -> Message:
            found = target.probe(become=become, installation=installation) if probe else None
            return Connected(address.position, found)

        self._start(address, None, job)

    def run(self, errand: Errand) -> None:
        """Start a changing body in the envelope and follow it to its end."""
        position, attempt = errand.address.position, errand.order.attempt

        def job(target: Session) -> Message:
            outcome = target.run(
                errand,
                on_started=lambda: self._inbox.put(Started(position, attempt)),
                on_output=self._output(position, attempt),
            )
            if isinstance(outcome, End):
                return Ended(position, attempt, outcome)
            return Refused(position, attempt, outcome.reason)

        self._start(errand.address, attempt, job)

    def plain(self, errand: Errand) -> None:
        """Run a reading body by plain exec; losing it harms nothing, it can be run again."""
        position, order, landing = errand.address.position, errand.order, errand.landing
        told = self._output(position, order.attempt)

        def job(target: Session) -> Message:
            with landing.catching(told) if landing is not None else nullcontext(told) as on_output:
                end = target.plain(errand, on_output=on_output)
            return Ended(position, order.attempt, _as_end(end), landing)

        self._start(errand.address, order.attempt, job)

    def reclaim(
        self, errand: Errand, *, intent_age: float, offsets: tuple[int, int], seconds: float | None = None
    ) -> None:
        """After a loss: make sure that the try can never start, or read on where we stopped.

        It takes up to `seconds`, without them as long as the script may run and MARGIN_SECONDS.
        """
        if seconds is None:
            seconds = errand.order.timeout + MARGIN_SECONDS
        position, order = errand.address.position, errand.order
        intended = time.monotonic() - intent_age  # connecting takes a while, and the intent grows older

        def job(target: Session) -> Message:
            asked = Reclaim(intended, offsets, deadline=time.monotonic() + seconds)
            outcome = target.reclaim(errand, asked, on_output=self._output(position, order.attempt))
            if isinstance(outcome, End):
                return Ended(position, order.attempt, outcome)
            return Fenced(position, order.attempt, outcome.proven)

        self._start(errand.address, order.attempt, job)

    def _output(self, position: int, attempt: str) -> Callable[[Stream, bytes], None]:
        def deliver(stream: Stream, data: bytes) -> None:
            self._inbox.put(Output(position, attempt, stream, data), size=len(data))

        return deliver

    def _start(self, address: Address, attempt: str | None, job: Callable[[Session], Message]) -> None:
        def work() -> None:
            self._inbox.put(self._outcome(address, attempt, job), last=True)

        self._inbox.expect()
        self._crew.submit(work)

    def _outcome(self, address: Address, attempt: str | None, job: Callable[[Session], Message]) -> Message:
        position = address.position
        try:
            with session(self._manager, address) as target:
                if not self._may_send():
                    return LeaseLapsed(position)
                return job(target)
        except LibraryError as error:
            if error.sent and attempt is not None:
                return Lost(position, attempt, error)
            return NotSent(position, error)
        except Exception as error:  # noqa: BLE001 - a thread that dies silently would leave its target hanging
            return Broke(position, attempt, error)


def _as_end(end: PlainEnd) -> End:
    """A plain body's end in the words of the envelope; one nobody confirmed may still be running."""
    left = () if end.confirmed else ("the script itself",)
    outputs = read_outputs(end.outputs).values
    return End(
        end.how,
        end.exit_code,
        outputs,
        end.stdout_length,
        end.stderr_length,
        left,
        outputs_cut=end.outputs_cut,
        incomplete=end.incomplete,
    )
