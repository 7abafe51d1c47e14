"""What a dry run found: which steps would change something, and where."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from django.db.models import Count

from automation.models import JobRun, ResultState, RunTarget, StepResult
from automation.models.results import UNFINISHED

ALREADY_SO = "check.already_so"
WOULD_CHANGE = "check.would_change"
NOT_RUN = "dry_run"
HARMLESS_SKIPS = ("condition.false", NOT_RUN)
"""Codes of steps that were skipped because there was nothing for them to do."""
Answer = Literal["would_change", "already_so", "not_checked", "looked", "not_needed", "failed", "open"]
ANSWERS: tuple[Answer, ...] = (
    *("would_change", "already_so", "not_checked", "looked", "not_needed", "failed", "open"),
)


def answer_of(state: str, code: str) -> Answer:
    """What one result of a dry run says: `looked` is a reading step that ran, `not_needed` a false `when`."""
    by_code: dict[str, Answer] = {
        WOULD_CHANGE: "would_change",
        ALREADY_SO: "already_so",
        NOT_RUN: "not_checked",
        "condition.false": "not_needed",
    }
    if state in UNFINISHED:
        return "open"
    if code in by_code:
        return by_code[code]
    return "looked" if state == ResultState.SUCCEEDED else "failed"


@dataclass(frozen=True, slots=True)
class StepForecast:
    """On how many targets a step would do what."""

    step: str
    counts: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"step": self.step} | {answer: self.counts.get(answer, 0) for answer in ANSWERS}


def forecast_steps(run: JobRun) -> list[StepForecast]:
    """The steps of a dry run in order, in one query however many targets it has."""
    found: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    rows = StepResult.objects.filter(run=run).values_list("step_index", "step", "state", "code")
    for index, step, state, code, number in rows.annotate(n=Count("pk")).order_by("step_index"):
        found[index, step][answer_of(state, code)] += number
    return [StepForecast(step, dict(counts)) for (_, step), counts in found.items()]


def forecast_targets(targets: Iterable[RunTarget]) -> list[dict[str, Any]]:
    """Each of these targets with the names of the steps by what they would do there."""
    rows = list(targets)
    named: dict[int, dict[str, list[str]]] = {row.pk: {answer: [] for answer in ANSWERS} for row in rows}
    results = StepResult.objects.filter(run_target__in=rows).order_by("step_index")
    for target, step, state, code in results.values_list("run_target", "step", "state", "code"):
        named[target][answer_of(state, code)].append(step)
    return [{"target": row.name, **named[row.pk]} for row in rows]
