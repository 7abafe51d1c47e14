"""What is found out about an unknown end after its run is over, and what that means for the rows.

A try that provably never started ends its step `unreachable`: nothing ran, because the target could not be
reached while the step was due. (`failed` would blame the script, `cancelled` somebody's wish.)
Found ends are taken as they are. No later step, no verify and no undo follows: reconciliation starts nothing.
"""

from __future__ import annotations

from django.utils import timezone

from automation.forecast import HARMLESS_SKIPS
from automation.libraries.envelope import End
from automation.models import Attempt, AttemptState, JobRun, ResultState, RunStatus
from automation.models.results import GOOD
from automation.workers.recorder import Recorder
from automation.workers.settle import (
    LOOK,
    Verdict,
    awaits_restart,
    record_end,
    settle,
    verdict_of,
)
from automation.workers.work import Work

CODE = "outcome.reconciled"
NEVER_STARTED = Verdict(
    ResultState.UNREACHABLE,
    "outcome.never_started",
    "It had never started on the target, and now never can.",
)
WITHHELD = "What it printed since is not kept, for the secrets to mask in it are deleted."
UNVERIFIED = "Its verify was not run: finding out starts nothing."
NOT_BAD = (*GOOD, ResultState.CANCELLED)  # as a run counts while it lives
CORRECTABLE = (RunStatus.PARTIAL, RunStatus.FAILED)


class Corrections:
    """Every method runs in a transaction that holds the run's row; `work` has the unknown attempt open."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def ended(self, run: JobRun, work: Work, end: End) -> None:
        """The target has told how the script ended."""
        work.recovering = True
        if awaits_restart(work, end) and work.tried.intent_age < work.sequence.step(work.step_index).timeout:
            self.still_unknown(work, "target.restarting", "The script ended; the restart it is for may come.")
            return
        verdict = verdict_of(work, end)
        if verdict.state == ResultState.UNKNOWN:
            self.still_unknown(work, verdict.code, verdict.message)
            return
        record_end(work.tried, end)
        self._correct(run, work, verdict, end)

    def never_started(self, run: JobRun, work: Work) -> None:
        """The try is fenced, and it is proven that it had not started before."""
        work.tried.state, work.tried.ended_at = AttemptState.FENCED, timezone.now()
        self._correct(run, work, NEVER_STARTED, None)

    def still_unknown(self, work: Work, code: str, why: str) -> None:
        """This try found nothing out. Told when it is for another reason than the last one."""
        attempt, result = work.tried, work.result()
        self._recorder.flush_output(work, last=True, cut=True)
        over = attempt.stop_asking()
        text = f"Asked again at {_now()}, try {attempt.reconcile_tries}: {why}"
        if over:
            text += " The machine asks no more."
        text = text if LOOK in text else f"{text} {LOOK}"
        if over or attempt.code != code:
            self._recorder.note(work, "outcome.unknown", text, step=result.step)
        attempt.code, attempt.message = code, text
        self._recorder.attempt(attempt)
        if result.state == ResultState.UNKNOWN:
            result.message = text
            self._recorder.amended(result)

    def _correct(self, run: JobRun, work: Work, verdict: Verdict, end: End | None) -> None:
        attempt, result = work.tried, work.result()
        attempt.code, attempt.message, attempt.reconcile_at = verdict.code, verdict.message, None
        attempt.keep_directory()
        self._recorder.flush_output(work, last=True)
        self._recorder.attempt(attempt)
        was_bad = _is_bad(work)
        found = f"Found out at {_now()}, after the run was over."
        if attempt.body == Attempt.Body.UNDO:
            _rewrite_undo(work, verdict, found)
            state = "undone" if result.undone else "undo_failed"
            self._recorder.fact(work, body=attempt.body, state=state, message=result.message)
        else:
            _rewrite(work, verdict, found, end)
            self._recorder.result(work, result, body=attempt.body)
        if was_bad and not _is_bad(work):
            run.bad -= 1
        others = Attempt.objects.filter(result__run_target=work.row, state=AttemptState.UNKNOWN)
        locked = others.exclude(pk=attempt.pk).exists()
        work.row.good = all(
            r.state == ResultState.SUCCEEDED or r.code in HARMLESS_SKIPS for r in work.results
        )
        self._recorder.finished(work, keep_lock=locked)
        lock = "Another end is still unknown, so it stays locked." if locked else "Its lock is free."
        kept = f" {WITHHELD}" if work.secrets.problem else ""
        self._recorder.note(work, CODE, f"{found} {lock}{kept}", step=result.step)


def _rewrite(work: Work, verdict: Verdict, found: str, end: End | None) -> None:
    """The step's result, as it would be had its end been known, without its verify."""
    result, finished_at = work.result(), work.result().finished_at
    result.state, result.code, result.message = ResultState.RUNNING, "", ""
    settle(
        work,
        work.tried.part,
        verdict,
        outputs=work.masked(end.outputs) if end else None,
        exit_code=end.exit_code if end else None,
    )
    unverified = result.state == ResultState.RUNNING
    if unverified:
        result.state = ResultState.SUCCEEDED
    result.code = result.code or CODE
    result.message = " ".join(filter(None, (result.message, found, UNVERIFIED if unverified else "")))
    result.finished_at = finished_at


def _rewrite_undo(work: Work, verdict: Verdict, found: str) -> None:
    """Whether the step was undone; its state is older and stays."""
    result = work.result()
    result.undone = None
    settle(work, work.tried.part, verdict)
    unverified = result.undone is None
    if unverified:
        result.undone = True
    result.message = " ".join(filter(None, (result.message, found, UNVERIFIED if unverified else "")))


def correct_status(run: JobRun) -> None:
    """Recompute a run's final status from its targets. One that was cancelled or broke stays so."""
    if run.status not in CORRECTABLE:
        return
    good = run.targets.filter(good=True).count()
    status = run.status_with(good)
    if status != run.status:
        run.correct(status, code=CODE, message=f"{good} of {run.total} targets are good.")


def _is_bad(work: Work) -> bool:
    return any(result.state not in NOT_BAD for result in work.results)


def _now() -> str:
    return f"{timezone.now():%Y-%m-%d %H:%M:%S} UTC"
