"""Commands that only look."""

from itertools import islice
from typing import Annotated, Any

import typer

from aiworkflows.client_types import Run
from opsportal.commandline.following import show_result, summary
from opsportal.commandline.options import AsJson, RunNumber
from opsportal.commandline.plan_text import tell_plan
from opsportal.commandline.session import session


def targets(
    query: Annotated[str | None, typer.Argument(help="A target query, as 'group:web os:linux'.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List targets: all, or those of a target query."""
    with session(as_json=as_json) as (client, paper):
        found = list(client.targets(query))
        if as_json:
            paper.json([dict(target.raw) for target in found])
            return
        rows = [
            (t.name, t.address, t.platform, t.environment, ",".join(t.groups), _login(dict(t.raw)))
            for t in found
        ]
        paper.table(("target", "address", "platform", "environment", "groups", "login"), rows)


def workflows(*, as_json: AsJson = False) -> None:
    """List the workflows that can be run by name."""
    with session(as_json=as_json) as (client, paper):
        found = list(client.workflows())
        if as_json:
            paper.json([dict(workflow.raw) for workflow in found])
            return
        paper.table(
            ("workflow", "version", "parameters", "what it does"),
            [(w.name, str(w.version), ",".join(w.raw.get("parameters") or {}), w.summary) for w in found],
        )


def runs(
    *,
    status: Annotated[str | None, typer.Option(help="Only these, for instance running.")] = None,
    workflow: Annotated[str | None, typer.Option(help="Only those of this workflow.")] = None,
    limit: Annotated[int, typer.Option(help="The most that are listed.", min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    with session(as_json=as_json) as (client, paper):
        found = list(islice(client.runs(status=status, workflow=workflow), limit))
        if as_json:
            paper.json([summary(run) for run in found])
            return
        paper.table(("run", "status", "workflow", "targets", "by"), [_cells(run) for run in found], states=1)


def show(run: RunNumber, *, as_json: AsJson = False) -> None:
    """Show a run: its plan in short, how it stands, its results. Exit code 0 whatever they are."""
    with session(as_json=as_json) as (client, paper):
        current = client.status(run)
        if not as_json:
            tell_plan(client, paper, current)
        show_result(client, paper, current)


def logs(
    run: RunNumber,
    target: Annotated[str, typer.Argument(help="The target's name.")],
    step: Annotated[str, typer.Argument(help="The step's name.")],
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the step is over.")] = False,
    stream: Annotated[str, typer.Option(help="stdout or stderr.")] = "stdout",
    body: Annotated[str, typer.Option(help="run, check, verify or undo.")] = "run",
    as_json: AsJson = False,
) -> None:
    """Print what a step wrote on a target; the very bytes, except on a terminal."""
    with session(as_json=as_json) as (client, paper):
        pieces = client.logs(run, target, step, follow=follow, stream=stream, body=body)
        if as_json:
            text = b"".join(pieces).decode("utf-8", errors="replace")
            paper.json({"run": run, "target": target, "step": step, "stream": stream, "text": text})
            return
        for piece in pieces:
            paper.bytes(piece)


def _cells(run: Run) -> tuple[str, ...]:
    about = [str(run.raw.get(key) or "") for key in ("workflow", "targets", "submitted_by")]
    return (str(run.id), run.status, *about)


def _login(target: dict[str, Any]) -> str:
    """As whom it is reached, and why with this credential."""
    login = target.get("login") or {}
    return f"{login.get('username') or 'nobody'}: {login.get('why')}" if login else ""
