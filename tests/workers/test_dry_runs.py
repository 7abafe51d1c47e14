"""Dry runs: only checks and reading steps, and what they foretell."""

from __future__ import annotations

from automation.forecast import forecast_steps, forecast_targets
from automation.models import Attempt
from tests.workers.spine import Spine

STEPS = """
    name: steps
    rollout: {canary: 0, on_failure: undo}
    steps:
      - {name: look, effect: read, run: {bash: 'echo "seen=1" >> "$OPSPORTAL_OUTPUT"'}}
      - {name: done, run: {bash: 'touch FILE'}, check: {bash: 'exit 0'}, undo: {bash: 'touch FILE'}}
      - {name: due, run: {bash: 'touch FILE'}, check: {bash: 'exit 1'}, verify: {bash: 'touch FILE'}}
      - {name: unchecked, run: {bash: 'touch FILE'}}
      - {name: depends, when: 'steps.unchecked.outputs.x == "1"', run: {bash: 'touch FILE'}}
      - {name: not needed, when: 'steps.look.outputs.seen == "2"', run: {bash: 'touch FILE'}}
"""


def test_a_dry_run_tells_what_would_change_and_changes_nothing(spine: Spine) -> None:
    spine.add_targets("a")
    marker = spine.scratch / "changed"
    run = spine.run(STEPS.replace("FILE", str(marker)), dry_run=True)
    assert run.status == "succeeded"
    (row,) = forecast_targets(run.targets.all())
    assert {answer: names for answer, names in row.items() if names} == {
        "target": "a",
        "looked": ["look"],
        "already_so": ["done"],
        "would_change": ["due"],
        "not_checked": ["unchecked", "depends"],
        "not_needed": ["not needed"],
    }
    assert set(Attempt.objects.values_list("body", "mode")) == {("run", "plain"), ("check", "plain")}
    assert not marker.exists()


def test_a_check_that_fails_itself_is_no_answer(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run(
        "{name: c, steps: [{name: s, run: {bash: 'true'}, check: {bash: 'exit 7'}}]}", dry_run=True
    )
    result = run.results.get()
    assert (result.state, result.code, result.exit_code) == ("failed", "check.failed", 7)
    assert [step.as_dict()["failed"] for step in forecast_steps(run)] == [1]


def test_the_forecast_counts_targets_in_one_query(spine: Spine, django_assert_num_queries: object) -> None:
    spine.add_targets("a", "b")
    run = spine.run(STEPS.replace("FILE", "/nowhere/x"), dry_run=True)
    with django_assert_num_queries(1):  # type: ignore[operator] # pytest-django's fixture
        counts = {step.step: step.counts for step in forecast_steps(run)}
    assert counts["due"] == {"would_change": 2}
