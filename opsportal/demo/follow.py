"""A run as it happens: its events, and the lines that the scripts write."""

from __future__ import annotations

from collections import Counter

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_types import Event, Run, StepResult
from opsportal.demo.paper import DIM, GREEN, RED, Paper

BAD = frozenset(
    {"failed", "timed_out", "unreachable", "cancelled", "unknown", "blocked", "errored", "undo_failed"}
)
GOOD = frozenset({"succeeded", "verified", "undone"})
Place = tuple[str, str, str, str, str]


class Follower:
    """Writes one run's story."""

    def __init__(self, client: AutomationClient, paper: Paper) -> None:
        self.client = client
        self.paper = paper
        self.shown: Counter[Place] = Counter()

    def follow(self, run: int) -> Run:
        """Until the run is over; how it stands then."""
        for event in self.client.events(run):
            if event.kind == "output":
                self._lines(run, event)
            else:
                self._line(event)
        return self.client.status(run)

    def _line(self, event: Event) -> None:
        where = f"{event.target}  {event.step}" if event.target else "run"
        words = [event.body if event.body != "run" else "", event.state, event.code, event.message]
        style = RED if event.state in BAD else GREEN if event.state in GOOD else ""
        self.paper.line(f"  {event.at[11:19]}  {where}  {' '.join(filter(None, words))}", style=style)

    def _lines(self, run: int, event: Event) -> None:
        """Whole lines that are new; what has no newline yet waits for the next sign."""
        attempt = str(event.raw.get("attempt") or "")
        body, stream = event.body or "run", event.stream or "stdout"
        place = (event.target, event.step, body, stream, attempt)
        pieces = self.client.logs(
            run, event.target, event.step, body=body, stream=stream, attempt=attempt or None
        )
        new = b"".join(pieces)[self.shown[place] :]
        whole = new[: new.rfind(b"\n") + 1]
        self.shown[place] += len(whole)
        for line in whole.decode("utf-8", errors="replace").splitlines():
            self.paper.line(f"            {event.target}  | {line.expandtabs(4)}", style=DIM)


def show_results(paper: Paper, run: Run, results: list[StepResult]) -> None:
    """What became of each target."""
    paper.heading(f"Run {run.id}: {run.status}")
    by_target: dict[str, list[StepResult]] = {}
    for row in results:
        by_target.setdefault(row.target, []).append(row)
    for target, rows in sorted(by_target.items()):
        paper.line(f"  {target}  {_outcome(rows)}", style=RED if _is_bad(rows) else GREEN)


def _is_bad(rows: list[StepResult]) -> bool:
    return any(row.state != "succeeded" for row in rows)


def _outcome(rows: list[StepResult]) -> str:
    versions = {
        key: value for row in rows for key, value in row.outputs.items() if key in ("version", "candidate")
    }
    bad = [row for row in rows if row.state in BAD]
    if bad:
        row = bad[0]
        told = [
            f"{row.state} in {row.step!r}",
            f"exit {row.exit_code}" if row.exit_code is not None else row.code,
        ]
        undone = {True: "put back as it was", False: "could not be put back"}.get(row.undone, "")  # type: ignore[arg-type]
        return ", ".join(filter(None, [*told, undone]))
    if all(row.state == "skipped" for row in rows):
        return "not touched: the rollout had stopped"
    if _is_bad(rows):
        return ", ".join(f"{row.step}: {row.state}" for row in rows)
    if {"version", "candidate"} <= versions.keys():
        return f"succeeded and verified: {versions['version']} -> {versions['candidate']}"
    return "succeeded"
