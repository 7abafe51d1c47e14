"""A frozen plan in plain lines: what would run where, word for word, before somebody decides on it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_types import PlannedTarget, Run
from opsportal.commandline.paper import Paper, style_of

BODIES: Final = {"check": "looks first", "run": "runs", "verify": "then verifies", "undo": "to undo"}
SHOWN_TARGETS: Final = 50


def tell_plan(client: AutomationClient, paper: Paper, run: Run) -> None:
    """Print the plan: values, targets (the first 50), each step with all its bodies, risk and approvals."""
    header = (run.raw.get("plan") or {}).get("header") or {}
    paper.line(f"Run {run.id}: {run.status}", style=style_of(run.status))
    for name, told in _summary(run, header):
        paper.line(f"  {name:<11}{told}")
    for text in _targets(client, run):
        paper.line(f"  target     {text}")
    for step in (header.get("workflow") or {}).get("steps", ()):
        for text in _step(step):
            paper.line(text)


def _summary(run: Run, header: dict[str, Any]) -> Iterator[tuple[str, str]]:
    version = f" v{run.raw['version']}" if run.raw.get("version") else ""
    yield "workflow", f"{run.raw.get('workflow')}{version}, by {run.raw.get('submitted_by')}"
    if run.raw.get("reason"):
        yield "reason", str(run.raw["reason"])
    for name, value in (header.get("parameters") or {}).items():
        yield "parameter", f"{name}={value}"
    for name in header.get("secrets") or ():
        yield "parameter", f"{name} (secret)"
    if header.get("dry_run"):
        yield "dry run", "reading steps and checks alone"
    rollout = header.get("rollout") or {}
    yield (
        "rollout",
        (
            f"batches of {', '.join(map(str, rollout.get('batches') or ()))}; at most "
            f"{rollout.get('max_failures')} may go wrong; on failure: {rollout.get('on_failure')}"
        ),
    )
    yield "risk", f"{run.risk.get('tier')}; approvals required: {run.approvals_required}"
    yield "plan", run.plan_hash


def _targets(client: AutomationClient, run: Run) -> Iterator[str]:
    for each in islice(client.plan(run.id), SHOWN_TARGETS):
        yield _target(each)
    total = int(run.raw.get("targets") or 0)
    if total > SHOWN_TARGETS:
        yield f"and {total - SHOWN_TARGETS} more: they are on the run's page"
    if left_out := int(run.blast_radius.get("left_out_count") or 0):
        yield f"left out: {left_out}"


def _target(each: PlannedTarget) -> str:
    why = f" ({'; '.join(each.why)})" if each.why else ""
    where = f"[{each.address}]" if ":" in each.address else each.address
    login = f"{each.login}@" if each.login else ""
    credential = each.raw.get("leaf", {}).get("why_credential")
    because = f", login: {credential}" if credential else ""
    return f"{each.target}  {login}{where}:{each.port}  batch {each.batch + 1}{why}{because}"


def _step(step: dict[str, Any]) -> Iterator[str]:
    notes = [str(step.get("effect")), *(["as root"] if step.get("become") else [])]
    yield f"  step       {step.get('name')} ({', '.join(notes)})"
    if step.get("when"):
        yield f"             when {step['when']}"
    for name, value in (step.get("values") or {}).items():
        yield f"             {name}={value}"
    for body, word in BODIES.items():
        scripts = step.get(body) if isinstance(step.get(body), dict) else None
        for shell, script in (scripts or {}).items():
            if script is not None:
                yield f"             {word} ({shell}):"
                yield from (f"               {line}" for line in str(script).splitlines())
