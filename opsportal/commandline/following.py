"""Following a run to its end: a live table on a terminal, a line for each event anywhere else."""

import time
from typing import Any, Final

from rich.live import Live

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_types import Event, Run, StepResult
from opsportal.commandline.exits import Exit, exit_of
from opsportal.commandline.matrix import Matrix
from opsportal.commandline.paper import BAD, Paper, style_of

# The table's heading, its borders and the lines around it.
FRAME_LINES: Final = 8
FOREVER: Final = 10 * 365 * 86_400.0
WAITS: Final = {
    "held": "It is held: look at it with `show {0}`, then `start {0}`.",
    "awaiting_approval": "It waits for approval by somebody else: `approve {0}`.",
    "paused": "It is paused: `resume {0}` lets it go on.",
}


def follow(client: AutomationClient, paper: Paper, run: int, *, timeout: float | None) -> Exit:
    """Show a run until it is over, and give the exit code of its result.

    After `timeout` seconds it ends with Exit.OTHER; the run goes on.
    """
    deadline = time.monotonic() + (FOREVER if timeout is None else timeout)
    current = client.status(run)
    if current.status in WAITS:
        paper.say(WAITS[current.status].format(run))
    if not current.final:
        _watch(client, paper, current, deadline)
        current = client.status(run)
    show_result(client, paper, current)
    if not current.final:
        paper.say(f"Run {run} is still {current.status} and goes on; `watch {run}` follows it.")
    return exit_of(current.status)


def _watch(client: AutomationClient, paper: Paper, run: Run, deadline: float) -> None:
    if not paper.live:
        for event in client.events(run.id, until=deadline):
            tell(paper, event)
        return
    matrix = Matrix(run, client.results(run.id), rows=paper.out.height - FRAME_LINES)
    with Live(matrix, console=paper.out, refresh_per_second=8, transient=True):
        for event in client.events(run.id, after=run.last_seq, until=deadline):
            matrix.apply(event)


def tell(paper: Paper, event: Event) -> None:
    """One event in one line; output only says how far it reaches, so it has none."""
    if event.kind == "output":
        return
    body = "" if event.body == "run" else event.body
    words = [event.at[11:19], event.target or "run", event.step, body, event.state, event.code, event.message]
    paper.line("  ".join(filter(None, words)), style=style_of(event.state) if event.state else "")


def show_result(client: AutomationClient, paper: Paper, run: Run) -> None:
    """What became of a run and of each of its targets."""
    rows = list(client.results(run.id))
    if paper.as_json:
        forecast = [dict(row.raw) for row in client.forecast(run.id)] if run.raw.get("dry_run") else None
        paper.json({"run": summary(run), "results": [dict(row.raw) for row in rows], "forecast": forecast})
        return
    paper.line(f"Run {run.id}: {run.status}", style=style_of(run.status))
    paper.table(("target", "step", "state", "why"), [_cells(row) for row in rows], states=2)
    if run.raw.get("dry_run"):
        for target in client.forecast(run.id):
            told = (f"{answer}: {', '.join(steps)}" for answer, steps in target.steps.items() if steps)
            paper.line(f"{target.target}: {'; '.join(told)}")


def summary(run: Run) -> dict[str, Any]:
    """A run as JSON, without its plan: that is as long as the inventory."""
    return {key: value for key, value in run.raw.items() if key not in {"plan", "links"}}


def _cells(row: StepResult) -> tuple[str, str, str, str]:
    told = [row.code, row.message] if row.state in BAD | {"skipped", "cancelled"} else []
    ended = f"exit {row.exit_code}" if row.exit_code else ""
    undone = {True: "undone", False: "could not be undone", None: ""}[row.undone]
    return row.target, row.step, row.state, ", ".join(filter(None, [ended, *told, undone]))
