"""How runs are told."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from django.db.models import Count, Q
from rest_framework.request import Request

from automation.api.authentication import principal, token_of
from automation.decide import refusal
from automation.forecast import forecast_steps
from automation.models import Attempt, JobRun, Participant, RunTarget, StepResult

LEAVES_SHOWN = 200


def counts_of(runs: list[int]) -> dict[int, dict[str, int]]:
    """Step results of each run by state, in one query."""
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    rows = StepResult.objects.filter(run__in=runs).values_list("run", "state").annotate(n=Count("pk"))
    for run, state, n in rows.order_by():
        counts[run][state] = n
    return counts


def run_summary(run: JobRun, counts: dict[str, int]) -> dict[str, Any]:
    """What a list shows of a run."""
    return {
        "id": run.pk,
        "status": run.status,
        "workflow": run.workflow_name,
        "version": run.workflow_version.number if run.workflow_version else None,
        "plan_hash": run.plan_hash,
        "risk": {"tier": run.tier, "findings": run.findings},
        "approvals_required": run.approvals_required,
        "dry_run": run.dry_run,
        "repeats": json.loads(run.header).get("repeats") if run.repeats_id else None,
        "reason": run.reason,
        "submitted_by": run.submitted_by.get_username(),
        "author_kind": run.author_kind,
        "counts": counts,
        "targets": run.total,
        "bad": run.bad,
        "stop_code": run.stop_code,
        "cancel_requested": run.cancel_requested,
        "last_seq": run.last_seq,
        "timings": {
            "created_at": run.created_at,
            "expires_at": run.expires_at,
            "started_at": run.started_at,
            "finished_at": run.finished_at,
        },
        "links": links(run),
    }


def run_submitted(run: JobRun) -> dict[str, Any]:
    """What a submission answers."""
    return run_summary(run, counts_of([run.pk])[run.pk]) | {"blast_radius": run.blast_radius}


def links(run: JobRun) -> dict[str, str]:
    here = f"/api/v1/runs/{run.pk}/"
    names = ("plan", "results", "events", "output", *(["forecast"] if run.dry_run else []))
    return {"self": here, "files": f"/api/v1/files/?run={run.pk}"} | {
        name: f"{here}{name}/" for name in names
    }


def run_detail(run: JobRun, request: Request) -> dict[str, Any]:
    """All of a run that fits one answer; `plan.leaves` are the first 200, the rest is under `links.plan`."""
    header = json.loads(run.header)
    leaves = run.targets.order_by("position")[:LEAVES_SHOWN]
    refused = refusal(run, by=principal(request), token=token_of(request))
    people = list(run.participants.select_related("user").order_by("pk"))
    return run_submitted(run) | {
        "source": run.source,
        "inputs": {key: header[key] for key in ("parameters", "rollout", "query")}
        | {"secret_parameters": sorted(header.get("secrets", {}))},
        "plan": {
            "header": header,
            "header_hash": run.header_hash,
            "leaves": [leaf_answer(leaf) for leaf in leaves],
        },
        "repeated_by": list(run.repeated_by.order_by("pk").values_list("pk", flat=True)),
        "forecast": [step.as_dict() for step in forecast_steps(run)] if run.dry_run else None,
        "batches": _batches(run),
        "participants": [_participant(person) for person in people],
        "approvals": {
            "required": run.approvals_required,
            "given": sum(person.decision == Participant.Decision.APPROVED for person in people),
        },
        "can_approve": refused is None,
        "why_not": None if refused is None else {"code": refused.code, "message": str(refused)},
    }


def leaf_answer(row: RunTarget) -> dict[str, Any]:
    return {
        "target": row.name,
        "position": row.position,
        "batch": row.batch,
        "state": row.state,
        "good": row.good,
        "leaf": json.loads(row.leaf),
        "leaf_hash": row.leaf_hash,
    }


def _batches(run: JobRun) -> list[dict[str, Any]]:
    rows = (
        run.targets.order_by("batch")
        .values("batch")
        .annotate(
            targets=Count("pk"),
            done=Count("pk", filter=Q(state=RunTarget.State.DONE)),
            good=Count("pk", filter=Q(good=True)),
        )
    )
    return [{**row, "open": row["batch"] == run.batch and not run.is_final} for row in rows]


def _participant(person: Participant) -> dict[str, Any]:
    found = {
        "user": person.user.get_username(),
        "part": person.part,
        "decision": person.decision,
        "reason": person.reason,
        "plan_hash": person.plan_hash,
        "at": person.at,
    }
    return {key: value for key, value in found.items() if value != ""}


def result_answer(row: StepResult, attempt: Attempt | None) -> dict[str, Any]:
    """One target in one step; `attempt` is the last try to start the step's run body."""
    return {
        "target": row.run_target.name,
        "step": row.step,
        "state": row.state,
        "code": row.code,
        "message": row.message,
        "exit_code": row.exit_code,
        "attempt": attempt.pk.hex if attempt else None,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "verified": row.verified,
        "undone": row.undone,
        "outputs": row.outputs,
    }


def last_attempts(rows: list[StepResult]) -> dict[int, Attempt]:
    """The last attempt of the run body of each result, in one query."""
    attempts = Attempt.objects.filter(result__in=rows, body=Attempt.Body.RUN).order_by("number")
    return {attempt.result_id: attempt for attempt in attempts}
