"""A proposal and a plan as the demo shows them: what people approve, word for word."""

from __future__ import annotations

from typing import Any

from aiworkflows.client_types import Proposal, Run
from opsportal.demo.paper import Paper

BODIES = {"check": "looks first", "run": "runs", "verify": "then verifies", "undo": "to undo"}


def show_proposal(paper: Paper, proposal: Proposal, address: str) -> None:
    """What was understood."""
    definition = proposal.definition or {}
    paper.heading("What was understood")
    paper.fields(
        [
            ("request", proposal.request),
            ("workflow", f"{definition.get('name')}: {definition.get('summary')}"),
            ("parameters", ", ".join(f"{key}={value}" for key, value in proposal.parameters.items())),
            ("targets", proposal.targets),
            ("confidence", f"{proposal.confidence:.0%}"),
            ("instead it could be", _others(proposal) or "nothing else"),
            ("proposal", f"{address}proposals/{proposal.id}/"),
        ]
    )


def show_plan(paper: Paper, run: Run) -> None:
    """The frozen plan: exact commands, targets, risk, approvals."""
    plan = run.raw["plan"]
    header = plan["header"]
    paper.heading(f"The plan of run {run.id}: exactly these commands")
    for number, step in enumerate(header["workflow"]["steps"], start=1):
        _show_step(paper, number, step)
    paper.heading("On these practice hosts")
    for leaf in plan["leaves"]:
        target = leaf["leaf"]
        why = f"in group {', '.join(target['groups'])}; tagged {', '.join(target['tags'])}"
        paper.line(
            f"  {target['name']}  {target['login']}@{target['address']}:{target['port']}  "
            f"batch {leaf['batch'] + 1}  ({why})"
        )
    paper.heading("Risk and approval")
    reach = run.blast_radius
    findings = "; ".join(
        str(finding.get("message") or finding.get("rule")) for finding in run.risk.get("findings", ())
    )
    paper.fields(
        [
            ("risk", f"{run.risk.get('tier')}{f' ({findings})' if findings else ''}"),
            ("rollout", _rollout(header["rollout"])),
            ("worst case", f"{reach.get('worst_case')} of {reach.get('targets')} targets"),
            ("approvals", f"{run.approvals_required} needed, because an AI asked; it cannot approve"),
            ("plan hash", run.plan_hash),
        ]
    )


def _show_step(paper: Paper, number: int, step: dict[str, Any]) -> None:
    notes = [str(step["effect"]), *(["as root"] if step.get("become") else [])]
    paper.line()
    paper.line(f"  {number}. {step['name']}  ({', '.join(notes)})")
    for body, word in BODIES.items():
        script = (step.get(body) or {}).get("bash")
        if script:
            paper.line(f"     {word}:")
            paper.block(script)


def _rollout(rollout: dict[str, Any]) -> str:
    return (
        f"first {rollout.get('canary')} as canary; at most {rollout.get('max_failures')} may go wrong; "
        f"on failure: {rollout.get('on_failure')}"
    )


def _others(proposal: Proposal) -> str:
    chosen = proposal.raw.get("runbook")
    return ", ".join(str(each["title"]) for each in proposal.alternatives if each["runbook"] != chosen)
