"""A round in words and as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from automation.models import Attempt, JobRun, StepResult
from tests.acceptance.chaos.faults import Fault
from tests.acceptance.chaos.oracle import Verdict

KINDS = {
    "lost": "lost",
    "twice": "twice",
    "falsely_green": "falsely green",
    "stuck": "stuck",
    "unexplained": "unknown without a reason",
    "other": "otherwise wrong",
    "unknown": "unknown and explained",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What a round measured. `settled`: seconds from the last healing to the last row; None: never."""

    seed: int
    seconds: float
    settled: float | None
    ended: float
    effects: int
    submitted: int


def as_json(figures: Figures, faults: list[Fault], verdict: Verdict) -> dict[str, Any]:
    return {
        **asdict(figures),
        "faults": [asdict(fault) for fault in faults],
        "runs": dict(Counter(JobRun.objects.values_list("status", flat=True))),
        "rows": dict(Counter(StepResult.objects.values_list("state", flat=True))),
        "codes": dict(Counter(filter(None, StepResult.objects.values_list("code", flat=True)))),
        "attempts": dict(Counter(Attempt.objects.values_list("state", flat=True))),
        "recovery": recovery(faults),
        "violations": verdict.violations,
        "verdict": asdict(verdict),
    }


def recovery(faults: list[Fault]) -> list[float]:
    """For each fault, seconds until the next row came to its end, where any did."""
    ends = sorted(
        at.timestamp() for at in StepResult.objects.values_list("finished_at", flat=True) if at is not None
    )
    waits = []
    for fault in faults:
        after = next((end for end in ends if end > fault.at), None)
        if after is not None and fault.at:
            waits.append(round(after - fault.at, 1))
    return waits


def as_text(data: dict[str, Any]) -> str:
    kinds = Counter(fault["kind"] for fault in data["faults"] if fault["at"])
    verdict = data["verdict"]
    waits = data["recovery"] or [0.0]
    lines = [
        f"seed {data['seed']}: {sum(kinds.values())} faults in {data['seconds']:.0f} s",
        f"  {data['submitted']} runs, {data['effects']} effects counted",
        "",
        *(f"  {count:4}  {kind}" for kind, count in kinds.most_common()),
        "",
        f"  runs      {_counts(data['runs'])}",
        f"  rows      {_counts(data['rows'])}",
        f"  codes     {_counts(data['codes'])}",
        f"  attempts  {_counts(data['attempts'])}",
        f"  next row finished after a fault: median {median(waits):.1f} s, longest {max(waits):.1f} s",
        f"  all over {_seconds(data['settled'])} after the last healing; `up` ended in {data['ended']:.1f} s",
        "",
        "  " + ", ".join(f"{len(verdict[kind])} {words}" for kind, words in KINDS.items()),
    ]
    for kind, words in KINDS.items():
        lines += [f"    {words}: {entry}" for entry in verdict[kind]]
    return "\n".join(lines)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"
