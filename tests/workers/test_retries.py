"""A step's own rule for trying again: every try a row, and never what may still run."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from automation.libraries.envelope import End
from automation.models import Attempt, Event
from automation.workers.sequence import Begin
from automation.workers.settle import Verdict, record_end, retry_follows
from automation.workers.shard import load_works
from tests.workers.spine import Spine

FLAKY = """
    name: flaky
    rollout: {canary: 0, on_failure: undo}
    steps:
      - name: s
        idempotent: true
        retry: {attempts: 3, delay: DELAY}
        run: {bash: 'echo x >> FILE; [ "$(wc -l < FILE)" -ge ENOUGH ]'}
        verify: {bash: 'true'}
        undo: {bash: 'true'}
"""


def flaky(spine: Spine, enough: int, *, delay: str = "0s") -> str:
    text = FLAKY.replace("ENOUGH", str(enough)).replace("DELAY", delay)
    return text.replace("FILE", str(spine.scratch / "tries"))


def tries(run: Any) -> list[tuple[Any, ...]]:
    rows = Attempt.objects.filter(result__run=run, body="run").order_by("number")
    return list(rows.values_list("number", "state", "exit_code", "superseded"))


def test_it_is_tried_again_until_it_succeeds_and_every_try_is_a_row(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run(flaky(spine, 2))
    result = run.results.get()
    assert (run.status, result.state, result.verified) == ("succeeded", "succeeded", True)
    assert tries(run) == [(1, "ended", 1, True), (2, "ended", 0, False)]
    assert Event.objects.filter(run=run, data__code="step.retry").count() == 1


def test_after_the_last_try_it_has_failed_and_is_undone(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run(flaky(spine, 9))
    result = run.results.get()
    assert (run.bad, result.state, result.code, result.undone) == (1, "failed", "exit.nonzero", True)
    assert [row[3] for row in tries(run)] == [True, True, False]


def test_the_delay_is_kept(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run(flaky(spine, 2, delay="1s"))
    first, second = Attempt.objects.filter(result__run=run, body="run").order_by("number")
    assert first.ended_at and second.intent_at
    assert 1 <= (second.intent_at - first.ended_at).total_seconds() < 3


def test_a_read_may_be_tried_again_too(spine: Spine) -> None:
    spine.add_targets("a")
    text = flaky(spine, 2).replace("idempotent: true", "effect: read").replace("undo: {bash: 'true'}", "")
    assert spine.states(spine.run(text)) == {"a": ["succeeded"]}


def test_only_the_ends_that_the_rule_names_are_tried_again(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run(flaky(spine, 9).replace("delay: 0s", "on: [timed_out]"))
    assert len(tries(run)) == 1


def test_what_left_processes_or_has_no_known_end_is_never_tried_again(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.submit(flaky(spine, 9))
    (work,) = load_works(run, run.targets.all())
    timed_out = Verdict("timed_out", "command.timeout", "")
    for left, state, again in (((), "ended", True), (("sleep:7",), "ended", False), ((), "unknown", False)):
        work.attempt = tried = Attempt(
            result=work.results[0], body="run", number=1, mode="envelope", become=False
        )
        record_end(tried, End("timed_out", None, {}, 0, 0, left))
        tried.state = state
        assert retry_follows(work, timed_out) is again
    tried.state = "fenced"  # it never started
    assert retry_follows(work, Verdict("unreachable", "connect.timeout", ""))


def test_whoever_takes_over_between_two_tries_keeps_count_and_delay(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.submit(flaky(spine, 9, delay="1h"))
    result = run.results.get()
    run.results.update(state="running")
    ended = {"state": "ended", "superseded": True, "ended_at": timezone.now()}
    Attempt.objects.create(result=result, body="run", number=1, mode="envelope", become=False, **ended)
    (work,) = load_works(run, run.targets.all())
    assert (work.superseded, work.waits, work.tries_again) == ({0: 1}, True, True)
    work.retry_at = 0.0
    assert work.next() == Begin(0, "run")


def test_a_cancelled_run_is_not_tried_again(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.submit(flaky(spine, 9, delay="1h").replace("touch", "true"))
    type(run).objects.filter(pk=run.pk).update(cancel_requested=True)
    spine.drain()
    assert len(tries(run)) == 0
