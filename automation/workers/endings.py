"""How bodies, steps and targets end, and what each end means for the run's budget."""

from __future__ import annotations

from django.utils import timezone

from automation.forecast import NOT_RUN
from automation.models import AttemptState, JobRun, ResultState, RunStatus, RunTarget, StepResult
from automation.models.results import GOOD, UNFINISHED
from automation.workers.recorder import Recorder
from automation.workers.settle import LOOK, Verdict, retry_follows, settle
from automation.workers.work import Work

# A canary that only could not be reached says nothing about the change: the next target takes its place.
NOT_THE_CHANGES_FAULT = (ResultState.UNREACHABLE, ResultState.BLOCKED)


SKIPPED_BECAUSE = {NOT_RUN: "It would run. It has no check, so what it would change is not known."}


class Endings:
    """Every method runs in the tick's transaction and holds the run's row."""

    def __init__(self, recorder: Recorder, *, canary: bool, pauses: bool) -> None:
        """`pauses`: where others stop, this run waits for a person to resume or cancel it."""
        self._recorder = recorder
        self._canary = canary
        self._pauses = pauses

    def conclude(
        self,
        run: JobRun,
        work: Work,
        verdict: Verdict,
        *,
        outputs: dict[str, str] | None = None,
        exit_code: int | None = None,
    ) -> None:
        """The open attempt is over; its verdict goes to the step."""
        if retry_follows(work, verdict):
            self._try_again(work, verdict)
            return
        attempt = work.tried
        attempt.code, attempt.message = verdict.code, verdict.message
        unknown = attempt.state == AttemptState.UNKNOWN
        if not unknown:
            attempt.keep_directory()
        self._recorder.flush_output(work, last=True, cut=unknown)
        self._recorder.attempt(attempt)
        result, before = work.result(), work.result().state
        settle(work, attempt.part, verdict, outputs=outputs, exit_code=exit_code)
        work.forget_attempt()
        work.busy = False
        if result.state != before:
            self._told(run, work, result, body=attempt.body)
        elif result.undone is not None:
            state = "undone" if result.undone else "undo_failed"
            self._recorder.fact(work, body="undo", state=state, message=verdict.message)
        else:
            self._recorder.fact(work, body=attempt.body, state=verdict.state)

    def _try_again(self, work: Work, verdict: Verdict) -> None:
        """The try is a row of its own with its end; the step goes on with the next one."""
        attempt, rule = work.tried, work.sequence.step(work.step_index).retry
        assert rule is not None  # noqa: S101  (retry_follows)
        attempt.superseded, attempt.message = True, verdict.message
        number = work.superseded[work.step_index] = work.superseded.get(work.step_index, 0) + 1
        self.close_attempt(work, AttemptState(attempt.state), verdict.code)
        work.losses = 0
        work.pause(rule.delay)
        text = f"Try {number} of {rule.attempts}: {verdict.message or verdict.state} Trying again."
        self._recorder.note(work, "step.retry", text, step=work.result().step)

    def give_up(self, run: JobRun, work: Work, verdict: Verdict) -> None:
        """Nothing of the open attempt was started, and nothing will be."""
        work.tried.state, work.tried.ended_at = AttemptState.FENCED, timezone.now()
        self.conclude(run, work, verdict)

    def unknown(self, run: JobRun, work: Work, why: str) -> None:
        """It may have run and we cannot tell: bad, loud, and its target stays locked."""
        work.tried.become_unknown()
        work.unknown = True
        self.conclude(run, work, Verdict(ResultState.UNKNOWN, "outcome.unknown", f"{why} {LOOK}"))

    def close_attempt(self, work: Work, state: AttemptState, code: str) -> None:
        """Close the open attempt without a verdict: another try of the same body follows."""
        attempt = work.tried
        attempt.state, attempt.code, attempt.ended_at = state, code, timezone.now()
        attempt.keep_directory()
        self._recorder.flush_output(work, last=True)
        self._recorder.attempt(attempt)
        losses = work.losses
        work.attempt = None
        work.forget_attempt()
        work.losses, work.busy = losses, False

    def close_unsent(self, run: JobRun, work: Work, verdict: Verdict) -> None:
        """The step at hand ends without an attempt."""
        result = work.result()
        result.state, result.code, result.message = verdict.state, verdict.code, verdict.message
        result.finished_at = timezone.now()
        self._told(run, work, result)

    def skip(self, work: Work, step_indexes: tuple[int, ...], code: str) -> None:
        for index in step_indexes:
            result = work.results[index]
            result.state, result.code, result.finished_at = ResultState.SKIPPED, code, timezone.now()
            result.message = SKIPPED_BECAUSE.get(code, "")
            self._recorder.result(work, result)

    def skip_rest(self, run: JobRun, work: Work, code: str) -> None:
        """Nothing more is sent to this target."""
        result = work.result()
        if result.state == ResultState.RUNNING:
            # Claimed or fenced, so nothing of it has run.
            tried = work.step_index in work.superseded
            text = "It was not tried again." if tried else "It had not started."
            self.close_unsent(run, work, Verdict(ResultState.CANCELLED, code, text))
        rest = tuple(i for i, r in enumerate(work.results) if r.state == ResultState.PENDING)
        self.skip(work, rest, code)

    def finish(self, run: JobRun, work: Work, *, good: bool) -> None:
        """The target's last known end."""
        if work.changing:
            run.in_flight -= 1
        work.row.state, work.row.good = RunTarget.State.DONE, good
        self._recorder.finished(work, keep_lock=work.unknown)

    def _told(self, run: JobRun, work: Work, result: StepResult, *, body: str = "") -> None:
        self._recorder.result(work, result, body=body)
        if result.state in GOOD or result.state in UNFINISHED or result.state == ResultState.CANCELLED:
            return
        others_bad = any(r.state not in (*GOOD, *UNFINISHED) for r in work.results if r is not result)
        if others_bad:
            return
        run.bad += 1
        if not run.stopped and (code := self._stop_code(run, result)):
            self._stop(run, work, code)
        self._recorder.counted()

    def _stop(self, run: JobRun, work: Work, code: str) -> None:
        if not self._pauses:
            run.stop_code = code
            self._recorder.tell({"kind": "note", "code": code, "message": _STOPPED[code]})
        elif run.status == RunStatus.RUNNING and run.targets.open().exclude(pk=work.row.pk).exists():
            run.move(RunStatus.PAUSED, code=code, message=f"{_STOPPED[code]} Resume or cancel the run.")

    def _stop_code(self, run: JobRun, result: StepResult) -> str:
        if self._canary and result.state not in NOT_THE_CHANGES_FAULT:
            return "rollout.canary"
        return "rollout.budget" if run.bad > run.max_failures else ""


_STOPPED = {
    "rollout.canary": "The canary went wrong: no other target is touched.",
    "rollout.budget": "More targets went wrong than this rollout allows: no further target is started.",
}
