"""The plan page: everything somebody should know before a run may start."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from automation.dashboard.plan_targets import as_text, planned, read_query
from automation.dashboard.rights import why_not
from automation.decide import refusal
from automation.definitions.schema import BODY_KINDS, SHELL_OF
from automation.models import JobRun, Participant, RunStatus
from automation.models.access import may
from automation.models.runs import LIVE, WAITING
from automation.ways import places
from credentials.models import Credential

TARGETS_A_PAGE = 50
NOT_SHOWN = "a secret; the plan holds its digest, and nobody can read it here"
PRODUCTION = ("prod", "production")


@login_required
@require_GET
def run_plan(request: HttpRequest, pk: int) -> HttpResponse:
    """The plan as it was frozen, whatever has become of the run since."""
    return plan_page(request, get_object_or_404(readable(request), pk=pk))


def readable(request: HttpRequest) -> Any:
    """The runs this person may know of."""
    return JobRun.objects.visible_to(request.user).select_related("submitted_by", "workflow_version", "token")


def plan_page(
    request: HttpRequest, run: JobRun, *, refused: str = "", reason: str = "", status: int = 200
) -> HttpResponse:
    """The page; `refused` says why a decision was not taken, `reason` is what had been typed."""
    header = json.loads(run.header)
    rows = Paginator(run.targets.order_by("position"), TARGETS_A_PAGE).get_page(request.GET.get("page"))
    leaves = [json.loads(row.leaf) for row in rows]
    ids = {place["credential"] for leaf in leaves for place in places(leaf)} - {None}
    visible = Credential.objects.visible_to(request.user).filter(pk__in=ids)
    context = {
        "run": run,
        "header": header,
        "summary": header["workflow"].get("summary", ""),
        "targets": planned(
            rows,
            query=read_query(header["query"]),
            credentials=dict(visible.values_list("pk", "name")),
            unfit=run.blast_radius.get("unfit_credential", ()),
        ),
        "page": rows,
        "left_out": header.get("left_out", []),
        "steps": _steps(header, run.blast_radius.get("by_platform", {})),
        "parameters": _parameters(header),
        "rollout": rollout_words(
            header["rollout"], run.total, changes=run.tier != "read" and not run.dry_run
        ),
        "production": _production(run),
        "refused": refused,
        "typed_reason": reason,
        "waiting": run.status in WAITING,
    }
    return render(request, "automation/plan.html", context | standing(request, run), status=status)


def standing(request: HttpRequest, run: JobRun) -> dict[str, Any]:
    """Who had which part in the run, and what the reader may do about it; with the reason where not."""
    people = list(run.participants.select_related("user").order_by("pk"))
    user: Any = request.user
    mine = [person for person in people if person.user_id == user.pk]
    asked = any(person.part == Participant.Part.REQUESTER for person in mine)
    given = [person for person in people if person.decision == Participant.Decision.APPROVED]
    refused = refusal(run, by=user)
    return {
        "requesters": [p for p in people if p.part == Participant.Part.REQUESTER],
        "decisions": [p for p in people if p.part == Participant.Part.APPROVER],
        "approvals_given": len(given),
        "approvals_missing": max(run.approvals_required - len(given), 0),
        "why_not": "" if refused is None else str(refused),
        "may_start": run.status == RunStatus.HELD and asked and may(user, "runs:submit"),
        "why_not_start": _why_not_start(run, asked=asked, rights=why_not(user, "runs:submit")),
        "may_control": run.status in LIVE and may(user, "runs:control"),
        "may_cancel": not run.is_final and may(user, "runs:control"),
        "why_not_cancel": why_not(user, "runs:control"),
        "repeats": json.loads(run.header).get("repeats") if run.repeats_id else None,
        # Only what is over can have been run again.
        "repeated_by": list(run.repeated_by.order_by("pk").values_list("pk", flat=True))
        if run.is_final
        else [],
    }


def _why_not_start(run: JobRun, *, asked: bool, rights: str) -> str:
    if run.status != RunStatus.HELD:
        return ""
    if not asked:
        return "Only somebody who asked for this run can start it."
    return rights


def _production(run: JobRun) -> bool:
    return any(name.lower() in PRODUCTION for name in run.blast_radius.get("by_environment", {}))


def _steps(header: dict[str, Any], platforms: dict[str, int]) -> list[dict[str, Any]]:
    """Each step with the scripts that targets of the planned platforms get, to the byte."""
    found = []
    for number, step in enumerate(header["workflow"]["steps"], start=1):
        bodies = [
            {"kind": kind, "platform": platform, "shell": SHELL_OF[platform], "script": script}
            for kind in BODY_KINDS
            for platform in sorted(platforms)
            if platform in SHELL_OF and (script := (step.get(kind) or {}).get(SHELL_OF[platform]))
        ]
        file = header.get("files", {}).get(str(number - 1))
        lasts = lasting(step["timeout"])
        found.append({**step, "number": number, "bodies": bodies, "lasts": lasts, "file": file})
    return found


def _parameters(header: dict[str, Any]) -> list[dict[str, str]]:
    declared = header["workflow"].get("parameters", {})
    shown = [
        {
            "name": name,
            "label": declared.get(name, {}).get("label", ""),
            "value": as_text(value),
            "given": "" if value is not None else "not given",
        }
        for name, value in header["parameters"].items()
    ]
    secret = [
        {"name": name, "label": declared.get(name, {}).get("label", ""), "value": "", "given": NOT_SHOWN}
        for name in header.get("secrets", {})
    ]
    return shown + secret


def _sizes(batches: list[int]) -> str:
    if len(set(batches)) == 1:
        return f"{_targets(batches[0])} each"
    return ", ".join(str(size) for size in batches[:12]) + (" …" if len(batches) > 12 else "") + " targets"


def rollout_words(rollout: dict[str, Any], total: int, *, changes: bool) -> list[str]:
    """The rollout as sentences, from the frozen arithmetic."""
    batches = list(rollout["batches"])
    words = []
    if rollout["canary"]:
        words.append(
            f"First a canary of {_targets(batches[0])}. If it fails, no other target is touched; "
            "one that cannot be reached is replaced by the next."
        )
        batches = batches[1:]
    if batches:
        then = "Then" if rollout["canary"] else "Runs"
        several = f"in {len(batches)} batches of {_sizes(batches)}" if len(batches) > 1 else "in one batch"
        words.append(
            f"{then} {_targets(sum(batches))} {several}, at most {rollout['max_parallel']} at a time."
        )
    if rollout["bake"]:
        words.append(f"After each batch it waits {lasting(rollout['bake'])} before the next.")
    if not changes:
        words.append("It only reads, so no target is changed.")
        return words
    if rollout["max_failures"]:
        words.append(f"It stops when more than {_targets(rollout['max_failures'])} went wrong.")
    else:
        words.append("It stops at the first target that goes wrong.")
    if rollout["on_failure"] == "pause":
        words[-1] = words[-1].replace("It stops", "It pauses") + " Somebody then resumes or cancels it."
    words.append(
        "Where a step went wrong, the target's changes are undone in reverse order."
        if rollout["on_failure"] == "undo"
        else "What was done on a target that went wrong stays as it is: nothing is undone."
    )
    return words


def _targets(count: int) -> str:
    return f"{count} target" + ("" if count == 1 else "s")


def lasting(seconds: int) -> str:
    """Whole seconds in words, exact: `1 h 30 min`."""
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts = []
    for unit, size in units:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts) or "0 s"
