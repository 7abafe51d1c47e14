"""Commands that decide what becomes of a run."""

import sys
from typing import Annotated

import typer

from aiworkflows.client_types import Run
from opsportal.commandline.exits import UsageError
from opsportal.commandline.following import summary
from opsportal.commandline.options import AsJson, Reason, RunNumber
from opsportal.commandline.paper import Paper
from opsportal.commandline.plan_text import tell_plan
from opsportal.commandline.session import Session, session

Plan = Annotated[
    str | None, typer.Option("--plan", help="The plan's hash, as you saw it; without it you are asked.")
]


def approve(run: RunNumber, *, plan: Plan = None, reason: Reason = "", as_json: AsJson = False) -> None:
    """Approve a run's plan. Whoever asked for the run cannot."""
    with session(as_json=as_json) as here:
        seen = _plan_seen(here, run, plan, "Approve")
        _tell(here.paper, here.client.approve(run, seen, reason))


def reject(run: RunNumber, *, plan: Plan = None, reason: Reason = "", as_json: AsJson = False) -> None:
    """Reject a run's plan; it never starts."""
    with session(as_json=as_json) as here:
        seen = _plan_seen(here, run, plan, "Reject")
        _tell(here.paper, here.client.reject(run, seen, reason))


def start(run: RunNumber, *, plan: Plan = None, reason: Reason = "", as_json: AsJson = False) -> None:
    """Start a run that was held, or hand it to its approvers."""
    with session(as_json=as_json) as here:
        seen = _plan_seen(here, run, plan, "Start")
        _tell(here.paper, here.client.start(run, seen, reason))


def cancel(run: RunNumber, *, reason: Reason = "", as_json: AsJson = False) -> None:
    """Stop a run: nothing new starts, what runs is ended."""
    with session(as_json=as_json) as here:
        _tell(here.paper, here.client.cancel(run, reason=reason))


def pause(run: RunNumber, *, reason: Reason = "", as_json: AsJson = False) -> None:
    """Let a run start nothing new until `resume`."""
    with session(as_json=as_json) as here:
        _tell(here.paper, here.client.pause(run, reason=reason))


def resume(run: RunNumber, *, reason: Reason = "", as_json: AsJson = False) -> None:
    """Let a paused run go on."""
    with session(as_json=as_json) as here:
        _tell(here.paper, here.client.resume(run, reason=reason))


def _plan_seen(here: Session, run: int, plan: str | None, verb: str) -> str:
    """The hash that was given, or that of the plan shown now and agreed to. Raises UsageError and Abort."""
    if plan is not None:
        return plan
    if here.paper.as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "Nobody is here to look at the plan.", f"`show {run}` tells its hash; give it with --plan HASH."
        )
    current = here.client.status(run)
    tell_plan(here.client, here.paper, current)
    typer.confirm(f"{verb} this plan?", abort=True)
    return current.plan_hash


def _tell(paper: Paper, run: Run) -> None:
    if paper.as_json:
        paper.json(summary(run))
        return
    asked = ", asked to stop" if run.raw.get("cancel_requested") and not run.final else ""
    paper.line(f"Run {run.id}: {run.status}{asked}")
