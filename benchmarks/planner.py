"""How well the catalogue planner understands requests that it was not tuned on."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from aiworkflows.inventory import Inventory
from aiworkflows.planners.catalogue import CataloguePlanner
from aiworkflows.planners.contract import Plan

HELD_OUT: Final = Path(__file__).with_name("planner-heldout.yaml")
# By a person who had not seen the examples. Misses of the first part may be looked at to mend the planner;
# those of the second are only counted, so that it tells what the mends are worth.
OTHER_HAND: Final = tuple(Path(__file__).with_name(f"planner-otherhand-{part}.yaml") for part in "abc")
ASK: Final = "?"
# The one inventory all requests speak of.
INVENTORY: Final = Inventory(
    groups=("web servers", "db-servers", "cache", "load balancers", "mail", "build machines"),
    tags=("edge",),
    targets=("web-1", "web-2", "db-1"),
    environments=("prod", "staging", "dev"),
    platforms=("linux",),
)
# Confidence is worth showing when it tells right from wrong: the share that is right within each band.
BANDS: Final = ((0.0, 0.6), (0.6, 0.85), (0.85, 0.93), (0.93, 1.01))


@dataclass(frozen=True, slots=True)
class Labelled:
    """A request, the runbook it means (None: it must be refused, "": any) and its target query.

    A miss of a `blind` one is counted and never told, so that nobody mends the planner for it.
    """

    ask: str
    runbook: str | None
    targets: str
    blind: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one request."""

    ask: str
    wanted: str | None
    first: bool
    among_three: bool
    wrong_target: bool
    refused: bool
    asked: bool
    confidence: float
    got: str
    blind: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares, 0 to 1; `wrong_targets` is a number of requests."""

    requests: int
    top1: float
    top3: float
    wrong_targets: int
    refused_rightly: float
    refused_wrongly: float
    asked_rightly: float
    right_by_confidence: Mapping[str, tuple[int, float]]
    milliseconds: float


def labelled(path: Path = HELD_OUT) -> Iterator[Labelled]:
    """Read a set of labelled requests."""
    for name, rows in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        for row in rows:
            runbook = {"refuse": None, "unclear": ""}.get(name, name)
            yield Labelled(row["ask"], runbook, row.get("targets", ""), row.get("blind", False))


def judge(request: Labelled, plan: Plan) -> Judged:
    """Compare a plan with its label."""
    three = [each.runbook for each in plan.alternatives]
    refused = plan.status == "refused"
    # A query that waits beside a question counts as well: the page shows it.
    wrong = bool(plan.targets) and _terms(plan.targets) != _terms(request.targets)
    return Judged(
        ask=request.ask,
        wanted=request.runbook,
        first=not refused and three[:1] == [request.runbook],
        among_three=not refused and request.runbook in three,
        wrong_target=not refused and request.runbook is not None and wrong,
        refused=refused,
        asked=plan.status == "needs_answer",
        confidence=plan.confidence,
        got=f"{plan.status} {three[:3]} {plan.targets!r} {plan.reason[:60]}",
        blind=request.blind,
    )


def measure(rows: list[Labelled], planner: CataloguePlanner) -> tuple[Figures, list[Judged]]:
    """Plan every request and count."""
    began = time.perf_counter()
    judged = [judge(row, planner.plan(row.ask, INVENTORY)) for row in rows]
    spent = time.perf_counter() - began
    meant = [each for each in judged if each.wanted]
    to_refuse = [each for each in judged if each.wanted is None]
    unclear = [each for each in judged if each.wanted == ""]
    bands = {}
    for low, high in BANDS:
        inside = [each for each in meant if not each.refused and low <= each.confidence < high]
        bands[f"{low:.2f}-{min(high, 1.0):.2f}"] = (len(inside), _share([each.first for each in inside]))
    figures = Figures(
        requests=len(judged),
        top1=_share([each.first for each in meant]),
        top3=_share([each.among_three for each in meant]),
        wrong_targets=sum(each.wrong_target for each in judged),
        refused_rightly=_share([each.refused for each in to_refuse]),
        refused_wrongly=_share([each.refused for each in meant]),
        asked_rightly=_share([each.asked for each in unclear]),
        right_by_confidence=bands,
        milliseconds=1000 * spent / max(1, len(judged)),
    )
    return figures, judged


def run(*, json_file: Path, requests: Path = HELD_OUT, half: str = "", show: bool = False) -> str:
    """Measure, store every judgement that is not blind, and tell the figures; `show` also tells each miss.

    `half` "open" or "blind" measures that half of the set alone.
    """
    rows = [row for row in labelled(requests) if not half or row.blind == (half == "blind")]
    figures, judged = measure(rows, CataloguePlanner())
    judged = [each for each in judged if not each.blind]
    json_file.parent.mkdir(parents=True, exist_ok=True)
    stored: dict[str, Any] = {"figures": asdict(figures), "requests": [asdict(each) for each in judged]}
    json_file.write_text(json.dumps(stored, indent=1), encoding="utf-8")
    lines = [
        f"{figures.requests} requests of {requests.name}, {figures.milliseconds:.0f} ms each",
        f"top-1                       {figures.top1:7.1%}",
        f"top-3                       {figures.top3:7.1%}   (aim: 90 %)",
        f"wrong target                {figures.wrong_targets:5d}     (aim: 0)",
        f"refused where it should     {figures.refused_rightly:7.1%}   (aim: 95 %)",
        f"refused where it should not {figures.refused_wrongly:7.1%}",
        f"asked where it should       {figures.asked_rightly:7.1%}",
        "right runbook by confidence shown:",
        *(f"  {band}: {share:6.1%} of {n}" for band, (n, share) in figures.right_by_confidence.items()),
    ]
    if show:
        lines += [f"- {each.ask!r}: wanted {each.wanted}, got {each.got}" for each in judged if _missed(each)]
    return "\n".join(lines)


def _missed(each: Judged) -> bool:
    if each.wanted is None:
        return not each.refused
    return each.wrong_target or (not each.asked if each.wanted == "" else not each.first)


def _terms(query: str) -> list[frozenset[str]]:
    """The query without the order of its alternatives and of the terms in each."""
    alternatives = (re.findall(r'(?:[^\s"]|"[^"]*")+', each) for each in query.split(" or "))
    # With other terms beside it, "all" says nothing.
    return sorted(
        (frozenset(terms) - ({"all"} if len(terms) > 1 else set()) for terms in alternatives), key=sorted
    )


def _share(values: list[bool]) -> float:
    return sum(values) / len(values) if values else 0.0
