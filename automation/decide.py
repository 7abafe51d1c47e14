"""Decisions on a waiting run: start a held one, approve, reject, cancel, expire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.utils import timezone

from automation.models import (
    IllegalTransition,
    JobRun,
    Participant,
    ResultState,
    RunStatus,
    RunTarget,
    StepResult,
)
from automation.models.access import may
from automation.models.runs import LIVE, WAITING
from automation.pausing import wake_paused
from automation.policy.today import policy_today
from automation.workers.queue import enqueue

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from automation.models import ApiToken


class DecisionRefused(Exception):
    """This person, token or hash may not decide; `code` says which rule stands in the way."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def start(run_id: int, *, by: User, plan_hash: str) -> JobRun:
    """Its author has looked at the held plan: it now waits for approval, or is queued."""
    with transaction.atomic():
        run = JobRun.objects.locked(run_id)
        if run.status != RunStatus.HELD:
            raise IllegalTransition(run, "started")
        if not Participant.objects.filter(run=run, user=by, part=Participant.Part.REQUESTER).exists():
            raise DecisionRefused("run.not_yours", "Only somebody who asked for a held run can start it.")
        _is_this_plan(run, plan_hash)
        _queue_if_enough(run)
    return run


def approve(
    run_id: int, *, by: User, token: ApiToken | None = None, plan_hash: str, reason: str = ""
) -> JobRun:
    """One person's agreement to exactly this plan; the last one that was needed queues the run.

    Raises IllegalTransition (no longer waiting) and DecisionRefused (who, or another hash).
    """
    return _decide(run_id, by, token, plan_hash, reason, Participant.Decision.APPROVED)


def reject(
    run_id: int, *, by: User, token: ApiToken | None = None, plan_hash: str, reason: str = ""
) -> JobRun:
    """One person's refusal ends the run. Raises as `approve` does."""
    return _decide(run_id, by, token, plan_hash, reason, Participant.Decision.REJECTED)


def _decide(
    run_id: int, by: User, token: ApiToken | None, plan_hash: str, reason: str, decision: Participant.Decision
) -> JobRun:
    _may_decide(by, token)
    with transaction.atomic():
        run = JobRun.objects.locked(run_id)
        if run.status != RunStatus.AWAITING_APPROVAL:
            raise IllegalTransition(run, str(decision))
        _is_this_plan(run, plan_hash)
        _write_decision(run, by, reason, decision)
        run.tell([{"kind": "approval", "state": str(decision), "by": by.get_username(), "message": reason}])
        if decision == Participant.Decision.REJECTED:
            _close_unsent(run, RunStatus.REJECTED, "run.rejected")
        else:
            _queue_if_enough(run)
    return run


def refusal(run: JobRun, *, by: User, token: ApiToken | None = None) -> DecisionRefused | None:
    """Why this person, with this token, may not decide on the run as it stands; None when they may."""
    if run.status != RunStatus.AWAITING_APPROVAL:
        return DecisionRefused("run.state", f"The run is {run.status}: it does not wait for a decision.")
    try:
        _may_decide(by, token)
    except DecisionRefused as refused:
        return refused
    mine = Participant.objects.filter(run=run, user=by).first()
    return _second_part(mine) if mine else None


def _is_this_plan(run: JobRun, plan_hash: str) -> None:
    if plan_hash != run.plan_hash:
        raise DecisionRefused(
            "plan.hash_mismatch", "This is not the plan you looked at: read the run again, then decide."
        )
    if run.expires_at <= timezone.now():
        raise DecisionRefused(
            "run.expired", "Nobody decided in time, so the run has expired. Submit it again."
        )


def _may_decide(by: User, token: ApiToken | None) -> None:
    if token is not None and not token.has_scope("runs:approve"):
        raise DecisionRefused(
            "approval.token", f"A token of kind {token.kind} without runs:approve cannot decide."
        )
    if not may(by, "runs:approve"):
        raise DecisionRefused("approval.role", "Deciding on runs needs the role approver or admin.")


def _write_decision(run: JobRun, by: User, reason: str, decision: Participant.Decision) -> None:
    try:
        # A savepoint: the unique constraint decides who may be in both parts, not a check before it.
        with transaction.atomic():
            Participant.objects.create(
                run=run,
                user=by,
                part=Participant.Part.APPROVER,
                decision=decision,
                plan_hash=run.plan_hash,
                reason=reason,
            )
    except IntegrityError:
        raise _second_part(Participant.objects.get(run=run, user=by)) from None


def _second_part(first: Participant) -> DecisionRefused:
    if first.part == Participant.Part.REQUESTER:
        return DecisionRefused(
            "approval.requester", "You asked for this run, so somebody else must decide on it."
        )
    return DecisionRefused("approval.twice", "You have already decided on this run.")


def cancel(run_id: int, *, by: User, reason: str = "") -> JobRun:
    """Stop: a run nothing of which was sent ends at once, a live one as soon as its targets confirm."""
    with transaction.atomic():
        run = JobRun.objects.locked(run_id)
        if run.is_final:
            raise IllegalTransition(run, "cancelled")
        run.tell([{"kind": "note", "code": "cancel.requested", "by": by.get_username(), "message": reason}])
        run.cancel_requested = True
        run.save(update_fields=["cancel_requested"])
        if run.status in WAITING:
            _close_unsent(run, RunStatus.CANCELLED, "run.cancelled")
        elif run.status in LIVE:
            wake_paused(run)
    return run


def expire(run_id: int) -> None:
    """Nobody decided in time."""
    with transaction.atomic():
        run = JobRun.objects.locked(run_id)
        if run.status in WAITING:
            _close_unsent(run, RunStatus.EXPIRED, "run.expired")


def _queue_if_enough(run: JobRun) -> None:
    """Queue the run unless today's policy, maybe stricter than at submission, asks for more than it has."""
    policy = policy_today().decide(run.policy_facts())
    run.approvals_required = max(run.approvals_required, policy.approvals)
    run.save(update_fields=["approvals_required"])
    if policy.denied:
        _close_unsent(run, RunStatus.REJECTED, "policy.denied")
    elif run.participants.filter(decision=Participant.Decision.APPROVED).count() >= run.approvals_required:
        run.move(RunStatus.QUEUED)
        run.wake()
        enqueue("control", "advance", run.pk)
    elif run.status != RunStatus.AWAITING_APPROVAL:
        run.move(RunStatus.AWAITING_APPROVAL)


def _close_unsent(run: JobRun, status: str, code: str) -> None:
    """End a run that never started: no row stays pending."""
    StepResult.objects.filter(run=run, state=ResultState.PENDING).update(state=ResultState.SKIPPED, code=code)
    RunTarget.objects.filter(run=run).update(state=RunTarget.State.DONE, good=False)
    run.move(status, code=code)
