"""Submission: a frozen plan becomes a run with every row it will ever work on, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from automation.definitions.query import Query
from automation.definitions.schema import Workflow
from automation.models import (
    Installation,
    JobRun,
    Participant,
    RunSecret,
    RunStatus,
    RunTarget,
    StepResult,
    StoredFile,
    Target,
)
from automation.models.rows import insert_rows
from automation.models.runs import APPROVAL_LASTS
from automation.plan import Plan, PlanError, blast_radius, freeze
from automation.policy.rules import AuthorKind, Decision, Facts
from automation.policy.today import policy_today
from automation.repeat import Repeat
from automation.workers.queue import enqueue

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from automation.models import ApiToken, WorkflowVersion


TRUST: tuple[AuthorKind, ...] = ("ai", "service", "person")  # the least first
# A kind of source that we do not know counts as the least trusted one.
NOT_AI = ("person", "catalogue", "service", "schedule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What somebody asks for. `requesters`: all who had a part in asking; none of them may approve."""

    workflow: Workflow
    query: Query
    submitter: User
    requesters: tuple[User, ...] = ()
    token: ApiToken | None = None
    version: WorkflowVersion | None = None
    parameters: dict[str, Any] = field(default_factory=dict, repr=False)
    rollout: dict[str, Any] | None = None
    dry_run: bool = False
    include_maintenance: bool = False
    hold: bool = False
    reason: str = ""
    source: dict[str, Any] = field(default_factory=dict)
    repeat: Repeat | None = None

    @property
    def author_kind(self) -> AuthorKind:
        """Who wrote or submitted this, or what it repeats; the least trusted part counting."""
        before = [] if self.repeat is None else [self.repeat.run.author_kind]
        return next(kind for kind in TRUST if kind in [self._own_kind, *before])

    @property
    def _own_kind(self) -> AuthorKind:
        kind = self.token.kind if self.token else "person"
        written_by_ai = self.source.get("kind", "person") not in NOT_AI or bool(self.source.get("model"))
        return "ai" if written_by_ai or kind == "ai" else "service" if kind == "service" else "person"


class PolicyDenied(PlanError):
    """A rule forbids the run."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A frozen plan and what the policy says of it; nothing of it is written yet."""

    wanted: Submission
    plan: Plan
    decision: Decision
    radius: dict[str, Any]


def submit(wanted: Submission) -> JobRun:
    """Freeze, decide and write the run; wake a worker if nothing stands in its way.

    Raises PlanError (what was asked cannot be planned) or PolicyDenied. On an error nothing is written.
    """
    return write(prepare(wanted))


def prepare(wanted: Submission) -> Prepared:
    """Freeze and decide. Only reads: planning for many targets keeps no writer waiting.

    Raises as `submit` does.
    """
    if frozen := Installation.frozen():
        raise PlanError("portal.frozen", f"{frozen} An administrator ends that: manage.py unfreeze.")
    policy = policy_today()
    plan = freeze(
        wanted.workflow,
        wanted.query,
        parameters=wanted.parameters,
        rollout=wanted.rollout,
        visible=list(Target.objects.visible_to(wanted.submitter).with_plan_parts()),
        files=StoredFile.objects.visible_to(wanted.submitter),
        dry_run=wanted.dry_run,
        include_maintenance=wanted.include_maintenance,
        policy_version=policy.version,
        repeat=wanted.repeat,
    )
    decision = policy.decide(facts_of(plan, wanted))
    if decision.denied:
        raise PolicyDenied("policy.denied", f"The policy forbids this run: {decision.denied}.")
    if decision.canary and not plan.rollout.canary and len(plan.targets) > 1:
        raise PolicyDenied("policy.canary", "The policy asks for a canary: give the rollout at least one.")
    return Prepared(wanted, plan, decision, blast_radius(plan))


def write(prepared: Prepared) -> JobRun:
    """The run with every row it will ever work on, in one transaction."""
    with transaction.atomic():
        run = _write(prepared)
        run.tell([{"kind": "run", "state": run.status, "message": _opening(run, prepared.decision)}])
        if run.status == RunStatus.QUEUED:
            enqueue("control", "advance", run.pk)
    return run


def facts_of(plan: Plan, wanted: Submission) -> Facts:
    return Facts(
        tier="read" if wanted.dry_run else plan.tier,
        author=wanted.author_kind,
        environments=plan.environments,
        targets=len(plan.targets),
    )


def _write(prepared: Prepared) -> JobRun:
    wanted, plan, decision = prepared.wanted, prepared.plan, prepared.decision
    now = timezone.now()
    waits = RunStatus.AWAITING_APPROVAL if decision.approvals else RunStatus.QUEUED
    run = JobRun.objects.create(
        workflow_version=wanted.version,
        workflow_name=plan.workflow.name,
        status=RunStatus.HELD if wanted.hold else waits,
        header=plan.header,
        header_hash=plan.header_hash,
        plan_hash=plan.plan_hash,
        tier=plan.tier,
        blast_radius=prepared.radius,
        findings=[{"rule": rule} for rule in decision.rules],
        approvals_required=decision.approvals,
        policy_version=decision.version,
        submitted_by=wanted.submitter,
        token=wanted.token,
        author_kind=wanted.author_kind,
        reason=wanted.reason,
        source=wanted.source,
        repeats=wanted.repeat.run if wanted.repeat is not None else None,
        asked=_asked(wanted),
        dry_run=wanted.dry_run,
        total=len(plan.targets),
        max_failures=plan.rollout.max_failures,
        max_parallel=plan.rollout.max_parallel,
        created_at=now,
        expires_at=now + APPROVAL_LASTS,
        wake_at=None if wanted.hold or decision.approvals else now,
    )
    people = {user.pk: user for user in (wanted.submitter, *wanted.requesters)}
    Participant.objects.bulk_create(
        [Participant(run=run, user=user, part=Participant.Part.REQUESTER) for user in people.values()]
    )
    RunSecret.objects.keep(run, plan.secrets)
    _write_rows(run, plan)
    return run


def _asked(wanted: Submission) -> dict[str, Any]:
    """What the plan does not hold as it was given, and the run again needs."""
    definition = wanted.workflow.canonical() if wanted.version is None else None
    return {"definition": definition, "rollout": wanted.rollout}


def _write_rows(run: JobRun, plan: Plan) -> None:
    batch_of = [number for number, size in enumerate(plan.rollout.batches) for _ in range(size)]
    insert_rows(
        [
            RunTarget(
                run=run,
                target=frozen.target,
                name=frozen.target.name,
                position=position,
                batch=batch_of[position],
                leaf=frozen.leaf,
                leaf_hash=frozen.leaf_hash,
            )
            for position, frozen in enumerate(plan.targets)
        ]
    )
    keys = run.targets.order_by("position").values_list("pk", flat=True)
    insert_rows(
        [
            StepResult(run_id=run.pk, run_target_id=key, step_index=index, step=step.name)
            for key in keys
            for index, step in enumerate(plan.workflow.steps)
        ]
    )


def _opening(run: JobRun, decision: Decision) -> str:
    people = f"{decision.approvals} approval" + ("s" if decision.approvals != 1 else "")
    rules = f" ({'; '.join(decision.rules)})" if decision.rules else ""
    without = run.blast_radius["left_out_count"]
    out = f", {without} left out" if without else ""
    again = "" if run.repeats_id is None else f"Run {run.repeats_id} again. "
    return (
        f"{again}Planned for {run.total} target{'s' if run.total != 1 else ''}{out}, {people} needed{rules}."
    )
