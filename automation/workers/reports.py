"""What the reports of I/O threads mean for the rows."""

from __future__ import annotations

import logging
import time
from functools import singledispatchmethod

from django.utils import timezone

from automation.libraries.envelope import End
from automation.libraries.errors import LibraryError
from automation.models import Attempt, AttemptState, JobRun, ResultState, Spool, StoredFile
from automation.workers import messages
from automation.workers.endings import Endings
from automation.workers.local_files import Landing
from automation.workers.reach import keep_shown_key
from automation.workers.recorder import Recorder
from automation.workers.settle import (
    Verdict,
    awaits_restart,
    record_end,
    verdict_of,
    verdict_of_error,
)
from automation.workers.work import Work

log = logging.getLogger(__name__)

CONNECT_TRIES = 3
RECOVERY_SECONDS = 60.0
RESTART_SECONDS = 3.0
FENCED_TRIES = 5
READ_TRIES = 4
FINAL_REFUSALS = {
    "interpreter.missing": "There is no bash on the target; nothing was started.",
    "spool.full": "There is no room for the script's files on the target; nothing was started.",
}
PASSING = (
    "connect.",
    "bastion.connect",
    "resolve.",
    "ssh.banner",
    "ssh.kex",
    "ssh.protocol",
    "channel.",
    "connection.",
    "auth.timeout",
    "tls.timeout",
    "winrm.unavailable",
    "winrm.quota",
)


class Reports:
    """Applies one report at a time, inside the tick's transaction."""

    def __init__(self, recorder: Recorder, endings: Endings) -> None:
        self._recorder = recorder
        self._endings = endings

    def take_in(self, run: JobRun, work: Work, message: messages.Message) -> None:
        attempt = getattr(message, "attempt", None)
        if attempt is not None and (work.attempt is None or work.attempt.pk.hex != attempt):
            return  # of a try that was given up
        self._apply(message, run, work)

    @singledispatchmethod
    def _apply(self, message: messages.Message, run: JobRun, work: Work) -> None:
        raise TypeError(f"Nobody knows what {type(message).__name__} means.")

    @_apply.register
    def _lapsed(self, message: messages.LeaseLapsed, run: JobRun, work: Work) -> None:
        # The tick that reads this has renewed the lease, so nobody had taken over. Nothing was sent.
        del message, run
        work.busy = False
        if work.attempt is not None and work.attempt.state != AttemptState.CLAIMED and not work.recovering:
            self._endings.close_attempt(work, AttemptState.FENCED, "lease.lapsed")

    @_apply.register
    def _connected(self, message: messages.Connected, run: JobRun, work: Work) -> None:
        del run
        work.busy, work.connected = False, True
        if message.probe is None or work.row.target_id is None or work.attempt is None:
            return
        become = work.attempt.become
        work.spools[become] = Spool.objects.found(work.row.target_id, message.probe, become=become)

    @_apply.register
    def _started(self, message: messages.Started, run: JobRun, work: Work) -> None:
        del message, run
        attempt = work.attempt
        if attempt is not None and attempt.state == AttemptState.DISPATCHING:
            attempt.state, attempt.started_at = AttemptState.RUNNING, timezone.now()
            self._recorder.attempt(attempt)

    @_apply.register
    def _output(self, message: messages.Output, run: JobRun, work: Work) -> None:
        del run
        if work.output is not None:
            work.output.feed(message.stream, message.data)
            self._recorder.output(work)

    @_apply.register
    def _ended(self, message: messages.Ended, run: JobRun, work: Work) -> None:
        end = message.end
        self._recorder.forgotten(work)
        if awaits_restart(work, end) and self._look_again(work):
            return
        record_end(work.tried, end)
        if end.incomplete:
            text = (
                "An answer, or the shell that held the output, was lost on the way, and the target keeps "
                "no copy: output may be missing."
            )
            self._recorder.note(work, "output.incomplete", text)
        verdict = verdict_of(work, end)
        if message.landed is not None:
            verdict = _keep(work, message.landed, end, verdict)
        if verdict.state == ResultState.UNKNOWN:
            work.tried.become_unknown()
            work.unknown = True
        self._endings.conclude(run, work, verdict, outputs=work.masked(end.outputs), exit_code=end.exit_code)

    @_apply.register
    def _not_sent(self, message: messages.NotSent, run: JobRun, work: Work) -> None:
        work.busy, work.connected = False, False
        if work.recovering:
            self._reclaim_later(run, work, message.error)
            return
        work.losses += 1
        if message.error.code.startswith(PASSING) and work.losses < CONNECT_TRIES:
            if work.attempt is not None and work.attempt.state != AttemptState.CLAIMED:
                self._endings.close_attempt(work, AttemptState.FENCED, message.error.code)
            work.pause(2.0 ** (work.losses - 1))
            return
        if message.error.code.startswith("hostkey."):
            keep_shown_key(work.leaf, message.error)
        self._endings.give_up(run, work, verdict_of_error(message.error))

    @_apply.register
    def _lost(self, message: messages.Lost, run: JobRun, work: Work) -> None:
        attempt = work.tried
        work.busy, work.connected = False, False
        if attempt.mode == Attempt.Mode.PLAIN:
            self._lost_read(run, work, message.error)
        elif attempt.mode == Attempt.Mode.DIRECT:
            self._endings.unknown(run, work, f"No guard could be kept on the target, and: {message.error}")
        else:
            if not work.recovering:
                text = "The connection was lost while the step ran; reading on from the target."
                self._recorder.note(work, message.error.code, text)
            start_recovery(work)
            self._reclaim_later(run, work, message.error)

    @_apply.register
    def _refused(self, message: messages.Refused, run: JobRun, work: Work) -> None:
        work.busy = False
        reason = message.reason
        if reason in ("exists", "fenced"):
            # Another worker was here with this very attempt: ask the target what became of it.
            start_recovery(work)
        elif reason == "cancelled":
            self._endings.give_up(
                run, work, Verdict(ResultState.CANCELLED, "run.cancelled", "It had not started.")
            )
        elif reason in FINAL_REFUSALS or work.losses + 1 >= FENCED_TRIES:
            text = FINAL_REFUSALS.get(reason, "The guard on the target refuses the script again and again.")
            self._endings.give_up(run, work, Verdict(ResultState.FAILED, f"guard.{reason}", text))
        else:
            if reason.startswith("spool."):
                # Not the spool we knew (the target was reinstalled, say): look again, then start anew.
                work.spools.pop(work.tried.become, None)
            work.losses += 1
            self._endings.close_attempt(work, AttemptState.FENCED, f"guard.{reason}")

    @_apply.register
    def _fenced(self, message: messages.Fenced, run: JobRun, work: Work) -> None:
        work.busy = False
        # Once the target has said that it started, a directory that is missing proves nothing.
        if message.proven and work.tried.started_at is None:
            self._endings.close_attempt(work, AttemptState.FENCED, "guard.fenced")
            return
        why = "The target was restarted or its spool replaced since, so whether it ran cannot be known."
        self._endings.unknown(run, work, why)

    @_apply.register
    def _broke(self, message: messages.Broke, run: JobRun, work: Work) -> None:
        log.error("job broke", exc_info=message.error, extra={"run": run.pk, "target": work.row.name})
        work.busy, work.connected = False, False
        attempt = work.attempt
        if attempt is None:
            return
        if attempt.mode == Attempt.Mode.ENVELOPE and attempt.state != AttemptState.CLAIMED:
            start_recovery(work)
            self._reclaim_later(run, work, message.error)
        elif attempt.mode == Attempt.Mode.DIRECT and attempt.state != AttemptState.CLAIMED:
            self._endings.unknown(run, work, "The portal itself failed while it followed the step.")
        else:
            verdict = Verdict(
                ResultState.FAILED, "internal.error", "The portal itself failed; nothing was changed."
            )
            self._endings.give_up(run, work, verdict)

    def _lost_read(self, run: JobRun, work: Work, error: LibraryError) -> None:
        """A read harms nothing: run it again, a few times."""
        work.losses += 1
        if work.losses < READ_TRIES:
            self._endings.close_attempt(work, AttemptState.ENDED, error.code)
            work.pause(2.0 ** (work.losses - 1))
            return
        self._endings.give_up(run, work, Verdict(ResultState.UNREACHABLE, error.code, str(error)))

    def _look_again(self, work: Work) -> bool:
        """The script is over, the step is not: its end is the target's next boot. False when time is up."""
        if not work.recovering:
            text = "The script has ended; waiting for the target to restart."
            self._recorder.note(work, "target.restarting", text)
        start_recovery(work)
        if time.monotonic() > work.give_up_at:
            return False
        work.busy, work.connected, work.losses = False, False, 0
        work.pause(RESTART_SECONDS)
        return True

    def _reclaim_later(self, run: JobRun, work: Work, error: Exception) -> None:
        if time.monotonic() > work.give_up_at:
            self._endings.unknown(run, work, f"The target could not be asked again in time. {error}")
            return
        work.losses += 1
        work.pause(min(10.0, 2.0 ** (work.losses - 1)))


def _keep(work: Work, landed: Landing, end: End, verdict: Verdict) -> Verdict:
    """Store a downloaded file when it is, to the byte, what the target says that it read."""
    if verdict.state == ResultState.SUCCEEDED:
        with landed.path.open("rb") as opened:
            file = StoredFile.objects.take_in(opened, name=landed.name, attempt=work.tried)
        if file.sha256 != end.outputs.get("sha256"):
            file.delete()
            text = "What came is not what the target read: the file changed meanwhile. Nothing was kept."
            verdict = Verdict(ResultState.FAILED, "download.changed", text)
    landed.path.unlink(missing_ok=True)
    return verdict


def start_recovery(work: Work) -> None:
    """From now on the open attempt is fenced or read on, until the step's time and a minute are over."""
    if work.recovering:
        return
    step = work.sequence.step(work.step_index)
    work.recovering, work.losses = True, 0
    left = max(0.0, float(step.timeout) - work.tried.intent_age)
    work.give_up_at = time.monotonic() + left + RECOVERY_SECONDS
