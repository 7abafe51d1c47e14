"""Unknown ends, asked for again once their run is over.

Nothing is ever started here: a target is asked what it kept, and what had not begun is fenced. The tries of
each attempt are claimed by conditional update, and every answer is taken in only while its try is still ours
and no person has released the target.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from automation.libraries.connection_manager import ConnectionManager
from automation.libraries.envelope import Order
from automation.models import Attempt, AttemptState, Installation, JobRun, RunTarget
from automation.models.runs import FINAL, RESTORED
from automation.workers import messages
from automation.workers.corrections import Corrections, correct_status
from automation.workers.draining import draining
from automation.workers.gate import Drift
from automation.workers.inbox import Crew, Inbox
from automation.workers.logins import LOGIN_ERRORS, Logins, login_code
from automation.workers.output import OutputStore
from automation.workers.queue import enqueue
from automation.workers.recorder import Recorder
from automation.workers.shard import load_works
from automation.workers.transports import Address, Errand
from automation.workers.wire import Wire
from automation.workers.work import Work

log = logging.getLogger(__name__)

# A worker that serves nothing else for longer than its queue's probe is waited for would be taken for stuck.
ASK_SECONDS = 20.0
WIDTH = 40
REWAKE_SECONDS = 300.0
TAKE_SECONDS = 0.4
LINGER_SECONDS = 0.015


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A question that was not put, or that got no answer."""

    position: int
    code: str
    why: str


News = messages.Message | Unanswered

NO_ANSWER = "The target did not tell its end in time; the script may still be running."
MAYBE_ANOTHER = "This try never started, but the portal that was replaced may have begun another one."
NOT_PROVEN = "The target was restarted or its spool replaced since, so whether it ran cannot be known."


def wake_reconciliation() -> None:
    """Have the ends asked for that are due. A run is not woken twice for one task, unless that was lost."""
    now = timezone.now()
    # Two questions: in one, a database may begin with all finished runs.
    due = list(Attempt.objects.to_reconcile().values_list("result", flat=True))
    if not due:
        return
    over = JobRun.objects.filter(Q(wake_at=None) | Q(wake_at__lte=now), status__in=FINAL, results__in=due)
    for run_id in set(over.values_list("pk", flat=True)):
        with transaction.atomic():
            run = JobRun.objects.locked(run_id)
            if run.is_final and (run.wake_at is None or run.wake_at <= now):
                run.wake(after=REWAKE_SECONDS)
                enqueue("execution", "reconcile", run_id)


def reconcile(run_id: int) -> None:
    """Ask for the unknown ends of a finished run that are due, one a target, for ASK_SECONDS at most."""
    with transaction.atomic():
        run = JobRun.objects.locked(run_id)
        taken = _claim(run) if run.is_final else {}
    # Outside: should a row break us here, its claim stands, and the next try comes later.
    if taken:
        Reconciliation(run, _open(run, taken)).carry()


def _claim(run: JobRun) -> dict[int, Attempt]:
    """The unknown attempts to ask for now, by their rows of the run's targets."""
    run.wake_at = None
    run.save(update_fields=["wake_at"])
    due = Attempt.objects.to_reconcile().filter(result__run=run)
    taken: dict[int, Attempt] = {}
    for attempt in due.select_related("result").order_by("reconcile_at"):
        row_id = attempt.result.run_target_id
        if len(taken) < WIDTH and row_id not in taken and attempt.claim_reconcile():
            taken[row_id] = attempt
    return taken


def _open(run: JobRun, taken: dict[int, Attempt]) -> list[Work]:
    """These targets, each with its unknown attempt open."""
    works = load_works(run, RunTarget.objects.filter(pk__in=taken))
    for work in works:
        work.attempt = taken[work.row.pk]
        work.step_index = work.attempt.result.step_index
    return works


class Reconciliation:
    """One round of questions to targets of one run. Only `carry`'s thread writes."""

    def __init__(self, run: JobRun, works: list[Work]) -> None:
        self._run_id = run.pk
        self._open = {work.position: work for work in works}
        self._drift = Drift(run, works)
        self._logins = Logins()
        self._recorder = Recorder()
        self._corrections = Corrections(self._recorder)
        self._inbox = Inbox()
        self._crew = Crew(WIDTH)
        self._manager = ConnectionManager()
        self._ends_at = time.monotonic() + ASK_SECONDS
        self._wire = Wire(self._crew, self._inbox, self._manager, may_send=self._in_time)

    def carry(self) -> None:
        try:
            self._logins.look_up(t.credential for t in self._drift.targets.values() if t.credential)
            self._tick([message for work in self._open.values() if (message := self._ask(work))])
            while self._open and self._in_time() and not draining():
                if news := self._inbox.take(timeout=TAKE_SECONDS, linger=LINGER_SECONDS):
                    self._tick(news)
            self._tick([Unanswered(place, "command.timeout", NO_ANSWER) for place in self._open])
        finally:
            self._inbox.close()
            self._crew.close()
            threading.Thread(target=self._manager.close, daemon=True, name="close-connections").start()

    def _in_time(self) -> bool:
        return time.monotonic() < self._ends_at

    def _ask(self, work: Work) -> Unanswered | None:
        """Put the question; where it cannot be put, why."""
        attempt = work.tried
        if not work.intact:
            why = "What is stored for this target is not what was approved."
            return Unanswered(work.position, "plan.changed", why)
        if block := self._drift.keeps_away(work):
            return Unanswered(work.position, block.code, block.message)
        credential = self._drift.targets[work.leaf["target"]].credential
        if credential is None:
            raise ValueError(f"{work.row} has no credential; drift should have said so")
        try:
            login = self._logins.of(credential, work.leaf["login"], run=self._run_id)
            endpoint = self._drift.endpoint(work, self._logins)
        except LOGIN_ERRORS as error:
            return Unanswered(work.position, login_code(error), str(error))
        work.address = Address(work.position, endpoint, login.credentials)
        work.masker = login.masker
        # The run's secrets are deleted: what they would be masked in is not kept.
        work.output = None if work.secrets.problem else OutputStore(attempt, login.masker)
        self._wire.reclaim(
            Errand(work.address, _order(work, attempt), work.control),
            intent_age=attempt.intent_age,
            offsets=work.offsets(),
            seconds=max(1.0, self._ends_at - time.monotonic()),
        )
        return None

    def _tick(self, news: list[News]) -> None:
        with transaction.atomic():
            run = JobRun.objects.locked(self._run_id)
            ours = self._still_ours()
            for message in news:
                work = self._open.get(message.position)
                if work is not None and work.position in ours:
                    self._take_in(run, work, message)
            self._open = {place: work for place, work in self._open.items() if place in ours}
            self._recorder.store(run)
            correct_status(run)

    def _still_ours(self) -> set[int]:
        """Places of targets whose try nobody else has taken, and that no person has released."""
        asked = Attempt.objects.filter(
            pk__in=[work.tried.pk for work in self._open.values()],
            state=AttemptState.UNKNOWN,
            reconcile_at__isnull=False,
        )
        tries = dict(asked.values_list("pk", "reconcile_tries"))
        return {
            place
            for place, work in self._open.items()
            if tries.get(work.tried.pk) == work.tried.reconcile_tries
        }

    def _take_in(self, run: JobRun, work: Work, message: News) -> None:
        if isinstance(message, messages.Output):
            if work.output is not None:
                work.output.feed(message.stream, message.data)
                self._recorder.output(work)
            return
        del self._open[work.position]
        match message:
            case messages.Ended(end=end):
                self._corrections.ended(run, work, end)
            case messages.Fenced(proven=True) if run.stop_code == RESTORED:
                self._corrections.still_unknown(work, "guard.fenced", MAYBE_ANOTHER)
            case messages.Fenced(proven=True) if work.tried.started_at is None:
                self._corrections.never_started(run, work)
            case messages.Fenced():
                # Asked again all the same: the spool may be on a disk that is not back yet.
                self._corrections.still_unknown(work, "guard.fenced", NOT_PROVEN)
            case Unanswered(code=code, why=why):
                self._corrections.still_unknown(work, code, why)
            case messages.NotSent(error=error) | messages.Lost(error=error) if (
                error.code != "command.timeout"
            ):
                self._corrections.still_unknown(work, error.code, str(error))
            case messages.Broke(error=error):
                log.error("job broke", exc_info=error, extra={"run": run.pk, "target": work.row.name})
                self._corrections.still_unknown(work, "internal.error", "The portal itself failed.")
            case _:
                self._corrections.still_unknown(work, "command.timeout", NO_ANSWER)


def _order(work: Work, attempt: Attempt) -> Order:
    """What names the attempt on its target; no script goes with it."""
    return Order(
        attempt=attempt.pk.hex,
        installation=Installation.identity(),
        payload=b"",
        timeout=float(work.sequence.step(work.step_index).timeout),
        become=attempt.become,
        spool=attempt.spool,
        spool_id=attempt.spool_id,
    )
