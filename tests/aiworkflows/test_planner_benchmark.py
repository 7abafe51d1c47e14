"""The planner's measure: what it promises, and that the measure itself counts rightly."""

import json
from pathlib import Path

import pytest

from aiworkflows.planners.catalogue import CataloguePlanner
from aiworkflows.planners.contract import Alternative, Plan
from aiworkflows.planners.runbooks import load_runbooks
from benchmarks.planner import OTHER_HAND, Labelled, judge, labelled, measure, run


def test_requests_it_was_not_tuned_on_are_understood_or_refused_as_promised() -> None:
    figures, _ = measure(list(labelled()), CataloguePlanner())
    assert figures.requests >= 300
    assert figures.top3 >= 0.9
    assert figures.wrong_targets == 0
    assert figures.refused_rightly >= 0.95


def test_requests_by_another_hand_never_run_elsewhere_and_are_refused_where_they_should() -> None:
    for requests in OTHER_HAND:
        figures, _ = measure(list(labelled(requests)), CataloguePlanner())
        assert figures.wrong_targets == 0
        assert figures.refused_rightly >= 0.95
        assert figures.top3 >= 0.9


def test_misses_of_the_blind_half_are_counted_and_never_stored_or_told(tmp_path: Path) -> None:
    stored = tmp_path / "planner.json"
    told = run(json_file=stored, requests=OTHER_HAND[2], half="blind", show=True)
    assert told.startswith("117 requests")
    assert "- '" not in told
    assert json.loads(stored.read_text(encoding="utf-8"))["requests"] == []


def test_the_order_of_a_querys_terms_makes_no_wrong_target() -> None:
    request = Labelled("x", "reboot", 'env:prod group:"web servers"')
    assert not judge(request, Plan("ready", targets='group:"web servers" env:prod')).wrong_target
    assert judge(request, Plan("ready", targets='group:"web servers"')).wrong_target


def test_no_request_by_another_hand_is_an_example() -> None:
    examples = {example.lower() for book in load_runbooks().values() for example in book.examples}
    assert not examples & {row.ask.lower() for requests in OTHER_HAND for row in labelled(requests)}


def test_every_runbook_is_measured_by_requests_that_are_none_of_its_examples() -> None:
    rows = list(labelled())
    assert {row.runbook for row in rows if row.runbook} == set(load_runbooks())
    examples = {example for book in load_runbooks().values() for example in book.examples}
    assert not examples & {row.ask for row in rows}


@pytest.mark.parametrize(
    ("plan", "wrong"),
    [
        (Plan("ready", targets="group:db"), True),
        (Plan("ready", targets="group:web"), False),
        (Plan("needs_answer", targets=""), False),
        (Plan("refused", reason="no"), False),
    ],
)
def test_a_wrong_target_counts_wherever_it_is_shown(plan: Plan, wrong: bool) -> None:
    assert judge(Labelled("x", "reboot", "group:web"), plan).wrong_target is wrong


def test_a_refused_request_is_no_hit_whatever_its_alternatives_say() -> None:
    plan = Plan("refused", alternatives=(Alternative("reboot", "Reboot", "", 0.1),))
    judged = judge(Labelled("x", "reboot", "all"), plan)
    assert not judged.first
    assert not judged.among_three
