"""What an ended attempt means for its step, in the words of the result."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from django.utils import timezone

from automation.forecast import ALREADY_SO, WOULD_CHANGE
from automation.libraries.envelope import End
from automation.libraries.errors import LibraryError
from automation.models import Attempt, AttemptState, ResultState
from automation.models.results import UNFINISHED
from automation.workers.work import Work

BLOCKING = ("hostkey.", "credential.")
NEVER_STARTED = ("become.", "shell.", "spool.", "exec.refused")
SIGNALS_FROM = 128
"""A shell's exit status for a command that signal n ended is this and n."""
WOULD_CHANGE_STATUS = 1
"""The exit status by which a check says that its step would change something."""
STATE_OF = {
    "cancelled": ResultState.CANCELLED,
    "timed_out": ResultState.TIMED_OUT,
    "output_limit": ResultState.FAILED,
    "lost_guard": ResultState.UNKNOWN,
    "rebooted": ResultState.FAILED,
}
CODE_OF = {
    "cancelled": "command.cancelled",
    "timed_out": "command.timeout",
    "output_limit": "output.limit",
    "lost_guard": "guard.lost",
    "rebooted": "target.rebooted",
}
LOOK = (
    "Look at the target how far it came. "
    "It stays locked until that is known, or until somebody frees its lock."
)
MESSAGE_OF = {
    "timed_out": "The step's time was over.",
    "output_limit": "It wrote more than it may, or the target's disk ran full; it was ended.",
    "lost_guard": "The script started, then its guard on the target vanished: how it ended is not known. "
    + LOOK,
    "rebooted": "The target was restarted while the script ran. Look at the target how far it came.",
}

LOGOUT = (
    "The connection was lost, and this target then ends what a login leaves behind (KillUserProcesses). How "
    f"far the script came is not known. {LOOK} To prevent it, run the step with become, or set "
    "KillUserProcesses=no in the target's logind.conf."
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a body came out."""

    state: str
    code: str = ""
    message: str = ""


NOT_RESTARTED = Verdict(
    ResultState.FAILED,
    "target.not_restarted",
    "The script ended, but the target was not restarted within the step's time.",
)


def verdict_of(work: Work, end: End) -> Verdict:
    """Succeeded needs a framed record of exit status 0; a declared reboot counts as an end.

    To be asked once nothing more is awaited.
    """
    step = work.sequence.step(work.step_index)
    by_signal = end.how == "ended" and _tells_signal(work, end.exit_code)
    if end.how == "rebooted" or (end.restarted and by_signal):
        if step.reboots:
            return Verdict(ResultState.SUCCEEDED)
        return Verdict(STATE_OF["rebooted"], CODE_OF["rebooted"], MESSAGE_OF["rebooted"])
    if end.how == "ended" and awaits_restart(work, end):
        return NOT_RESTARTED
    if work.recovering and (by_signal or end.how == "lost_guard") and _ends_with_its_login(work):
        return Verdict(ResultState.UNKNOWN, "target.logout", LOGOUT)
    if end.how == "ended":
        if end.exit_code == 0:
            return Verdict(ResultState.SUCCEEDED)
        return Verdict(ResultState.FAILED, "exit.nonzero", _exit_message(work, end.exit_code))
    message = MESSAGE_OF.get(end.how, "")
    if end.how in ("cancelled", "timed_out"):
        rest = "Nothing it had started is left." if not end.left else f"Still there: {', '.join(end.left)}."
        message = f"{message} {rest}".strip()
    return Verdict(STATE_OF[end.how], CODE_OF[end.how], message)


def _ends_with_its_login(work: Work) -> bool:
    spool = work.spools.get(work.tried.become)
    return spool is not None and spool.survives_logout is False


def awaits_restart(work: Work, end: End) -> bool:
    """Whether a step that reboots its target has done its part, and the target has yet to go and come back.

    A script that asks for a restart ends well, or is ended by a signal, before the target goes down; and a
    target that goes down may end the guard first.
    """
    if not work.sequence.step(work.step_index).reboots or work.tried.body != Attempt.Body.RUN:
        return False
    well = end.exit_code == 0 or _tells_signal(work, end.exit_code)
    return (end.how == "lost_guard" or (end.how == "ended" and well)) and not end.restarted


def _tells_signal(work: Work, code: int | None) -> bool:
    """Whether the status says that a signal ended the script; programs on Windows know no signals."""
    return work.sequence.platform != "windows" and (code or 0) > SIGNALS_FROM


def _exit_message(work: Work, code: int | None) -> str:
    number = (code or 0) - SIGNALS_FROM
    if _tells_signal(work, code) and number in {known.value for known in signal.Signals}:
        return f"Exit status {code}: the signal {signal.Signals(number).name} ended it."
    return f"Exit status {code}."


def verdict_of_error(error: LibraryError) -> Verdict:
    """Nothing was sent, or nothing was started."""
    if error.code.startswith(BLOCKING):
        return Verdict(ResultState.BLOCKED, error.code, str(error))
    if error.code.startswith(NEVER_STARTED):
        return Verdict(ResultState.FAILED, error.code, str(error))
    return Verdict(ResultState.UNREACHABLE, error.code, str(error))


def retry_follows(work: Work, verdict: Verdict) -> bool:
    """Whether the step's own rule asks for another try of its run body after this end of the open one.

    Only where nothing of the try is left: one whose end is unknown, or that left processes, is not repeated.
    """
    rule, attempt = work.sequence.step(work.step_index).retry, work.tried
    if rule is None or attempt.part != Attempt.Body.RUN or verdict.state not in rule.on or attempt.left:
        return False
    if attempt.state not in (AttemptState.ENDED, AttemptState.FENCED):
        return False
    return work.superseded.get(work.step_index, 0) + 1 < rule.attempts


def record_end(attempt: Attempt, end: End) -> None:
    attempt.state = AttemptState.ENDED
    attempt.how, attempt.exit_code, attempt.left = end.how, end.exit_code, list(end.left)
    attempt.ended_at = timezone.now()


def settle(
    work: Work,
    part: str,
    verdict: Verdict,
    *,
    outputs: dict[str, str] | None = None,
    exit_code: int | None = None,
) -> None:
    """Write the verdict on a part of a step (a body, or the verify after its undo) into the step's result."""
    result = work.result()
    verify = work.sequence.script(work.step_index, "verify")
    succeeded = verdict.state == ResultState.SUCCEEDED
    if part in ("undo", "verify_undo"):
        if part == "undo" and succeeded and verify is not None:
            return  # verify decides
        result.undone = succeeded
        if not succeeded:
            what = "Undo" if part == "undo" else "Verify after undo"
            result.message = f"{result.message} {what}: {verdict.message or verdict.state}".strip()
        return
    if part == "check":
        result.exit_code = exit_code
        _close(work, checked(verdict, exit_code))
        return
    if part == "verify":
        result.verified = succeeded
        if not succeeded and verdict.state != ResultState.CANCELLED:
            said = f"It ran, but did not verify: {verdict.message}"
            verdict = Verdict(ResultState.FAILED, "verify.failed", said)
        _close(work, verdict)
        return
    result.exit_code = exit_code
    if outputs:
        result.outputs = result.outputs | outputs
    if succeeded and verify is not None and part == "run":
        return  # still running: verify decides
    _close(work, verdict)


def checked(verdict: Verdict, exit_code: int | None) -> Verdict:
    """What a check says: exit status 0 "already so", 1 "would change it"; any other is a failure."""
    if verdict.state == ResultState.SUCCEEDED:
        return Verdict(ResultState.SUCCEEDED, ALREADY_SO, "Already so: nothing would change.")
    if verdict.code == "exit.nonzero" and exit_code == WOULD_CHANGE_STATUS:
        return Verdict(ResultState.SUCCEEDED, WOULD_CHANGE, "It would change something here.")
    if verdict.code == "exit.nonzero":
        return Verdict(verdict.state, "check.failed", f"The check itself failed: {verdict.message}")
    return verdict


def _close(work: Work, verdict: Verdict) -> None:
    result = work.result()
    if result.state in UNFINISHED:
        result.state, result.code, result.message = verdict.state, verdict.code, verdict.message
        result.finished_at = timezone.now()
