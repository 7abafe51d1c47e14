"""Runs from submission to the end, over real SSH."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from automation.models import Attempt, HostKey, JobRun, OutputChunk, RunTarget, Target, TargetLock
from automation.plan import PlanError
from tests.workers.spine import Spine

CHANGE = """
    name: change
    rollout: {canary: 1, batches: ["100%"], max_failures: 0, on_failure: undo}
    steps:
      - name: change
        run: {bash: 'echo "$OPSPORTAL_ATTEMPT" >> SCRATCH/effects; FAIL'}
        undo: {bash: 'echo undone >> SCRATCH/undone'}
"""


def change(spine: Spine, fail: str = "true", **replaced: str) -> str:
    text = CHANGE.replace("SCRATCH", str(spine.scratch)).replace("FAIL", fail)
    for old, new in replaced.items():
        text = text.replace(old, new)
    return text


def test_all_rows_exist_at_submission(spine: Spine) -> None:
    spine.add_targets("db-1", "db-2")
    run = spine.submit(change(spine))
    assert spine.states(run) == {"db-1": ["pending"], "db-2": ["pending"]}


def test_a_run_succeeds_when_every_target_is_good(spine: Spine) -> None:
    spine.add_targets("a", "b", "c")
    run = spine.run(change(spine))
    assert (run.status, run.in_flight, run.bad) == ("succeeded", 0, 0)
    assert len((spine.scratch / "effects").read_text().split()) == 3
    assert not TargetLock.objects.exists()


def test_the_canary_goes_first_and_alone(spine: Spine) -> None:
    spine.add_targets("a", "b", "c")
    run = spine.run(change(spine))
    assert list(run.targets.values_list("name", "batch")) == [("a", 0), ("b", 1), ("c", 1)]
    opened = [e.data["message"] for e in run.events.all() if e.data.get("code") == "batch.opened"]
    assert opened == ["Batch 1: 1 target.", "Batch 2: 2 targets."]


def test_a_failed_canary_is_undone_and_nobody_else_is_touched(spine: Spine) -> None:
    spine.add_targets("a", "b", "c")
    run = spine.run(change(spine, fail="exit 3"))
    assert run.status == "failed"
    assert run.stop_code == "rollout.canary"
    assert spine.states(run) == {"a": ["failed"], "b": ["skipped"], "c": ["skipped"]}
    assert run.results.get(run_target__name="a").undone is True
    assert len((spine.scratch / "effects").read_text().split()) == 1


def test_a_failed_undo_is_told_beside_the_failure(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run(
        change(spine, fail="exit 3", **{"echo undone >> " + str(spine.scratch) + "/undone": "exit 9"})
    )
    result = run.results.get()
    assert (result.state, result.exit_code, result.undone) == ("failed", 3, False)


def test_within_the_budget_the_others_go_on_and_the_run_is_partial(spine: Spine) -> None:
    spine.add_targets("a", "b", "c")
    text = change(
        spine, fail='[ "$bad" != 1 ]', **{"max_failures: 0": "max_failures: 1", "canary: 1": "canary: 0"}
    )
    Target.objects.filter(name="b").update(variables={"bad": 1})
    run = spine.run(text)
    assert run.status == "partial"
    assert spine.states(run) == {"a": ["succeeded"], "b": ["failed"], "c": ["succeeded"]}


def test_beyond_the_budget_nothing_more_is_started(spine: Spine) -> None:
    spine.add_targets("a", "b", "c")
    rollout = {"canary": 0, "batches": ["100%"], "max_failures": 0, "max_parallel": 1}
    run = spine.run(change(spine, fail="exit 1"), rollout=rollout)
    assert spine.states(run) == {"a": ["failed"], "b": ["skipped"], "c": ["skipped"]}
    assert run.stop_code == "rollout.budget"


def test_outputs_reach_later_steps_and_conditions(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run(
        """
        name: outputs
        parameters: {word: {type: string}}
        steps:
          - {name: first, effect: read, run: {bash: 'echo "seen=$word" >> "$OPSPORTAL_OUTPUT"'}}
          - name: second
            when: 'steps["first"].outputs.seen == parameters.word'
            run: {bash: 'printf %s "$OUTPUT_seen"'}
          - {name: third, when: 'has(steps["first"].outputs.other)', run: {bash: 'exit 1'}}
        """,
        parameters={"word": "it's"},
    )
    assert spine.states(run) == {"a": ["succeeded", "succeeded", "skipped"]}
    assert run.status == "succeeded"
    second = Attempt.objects.get(result__run=run, result__step="second")
    assert b"".join(bytes(chunk.data) for chunk in second.chunks.all()) == b"it's"


def test_a_condition_over_a_missing_output_fails_the_step(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run("""
        name: outputs
        steps:
          - {name: first, effect: read, run: {bash: 'true'}}
          - {name: second, when: 'steps["first"].outputs.seen == "x"', run: {bash: 'true'}}
        """)
    assert spine.codes(run) == {"", "condition.invalid"}
    assert run.status == "failed"


def test_an_unverified_change_has_failed(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run("""
        name: verify
        steps:
          - {name: one, run: {bash: 'true'}, verify: {bash: 'echo not there; exit 4'}}
        """)
    result = run.results.get()
    assert (result.state, result.code, result.exit_code, result.verified) == (
        "failed",
        "verify.failed",
        0,
        False,
    )


def test_a_target_without_a_trusted_key_is_blocked_and_never_connected(spine: Spine) -> None:
    spine.add_targets("a", trusted=False)
    run = spine.run(change(spine))
    assert spine.codes(run) == {"hostkey.unknown"}
    assert not Attempt.objects.exists()


def test_a_changed_host_key_blocks_and_is_kept_for_a_person(spine: Spine) -> None:
    (target,) = spine.add_targets("a")
    other = spine.servers[3].host_key().split()[1]
    target.host_keys.update(key=other)
    run = spine.run(change(spine))
    assert spine.codes(run) == {"hostkey.changed"}
    shown = HostKey.objects.get(target=target, state="changed")
    assert shown.line == spine.servers[0].host_key()


def test_a_target_disabled_after_the_plan_was_made_is_blocked(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.submit(change(spine))
    Target.objects.update(enabled=False)
    spine.drain()
    assert spine.codes(run) == {"plan.changed"}


def test_a_target_whose_maintenance_began_after_the_plan_was_made_is_blocked(spine: Spine) -> None:
    (ended,) = spine.add_targets("a")
    (resting,) = spine.add_targets("b")
    run = spine.submit(change(spine))
    ended.start_maintenance(until=timezone.now() - timedelta(minutes=1))
    resting.start_maintenance(reason="new disks")
    spine.drain()
    assert spine.states(run)["a"] == ["succeeded"]
    assert run.results.get(run_target__name="b").code == "plan.changed"


def test_edited_groups_and_variables_change_nothing_in_a_waiting_run(spine: Spine) -> None:
    (target,) = spine.add_targets("a")
    run = spine.submit(change(spine, fail='[ -z "$late" ]'))
    spine.add_targets("b")
    Target.objects.filter(pk=target.pk).update(variables={"late": "yes"})
    spine.drain()
    assert spine.states(run) == {"a": ["succeeded"]}


def test_a_tampered_plan_never_runs(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.submit(change(spine))
    JobRun.objects.filter(pk=run.pk).update(header=run.header.replace("true", "reboot"))
    spine.drain()
    run.refresh_from_db()
    assert run.status == "errored"
    assert not (spine.scratch / "effects").exists()


def test_a_tampered_target_never_runs(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.submit(change(spine))
    row = RunTarget.objects.get(run=run)
    RunTarget.objects.update(leaf=row.leaf.replace("127.0.0.1", "127.0.0.9"))
    spine.drain()
    run.refresh_from_db()
    assert run.status == "errored"


def test_an_unreachable_target_counts_and_sends_nothing(spine: Spine) -> None:
    (target,) = spine.add_targets("a")
    Target.objects.filter(pk=target.pk).update(port=1)
    run = spine.run(change(spine))
    assert spine.states(run) == {"a": ["unreachable"]}
    assert spine.codes(run) == {"connect.refused"}


def test_an_unreachable_canary_is_replaced_by_the_next_target(spine: Spine) -> None:
    first, *_ = spine.add_targets("a", "b", "c")
    Target.objects.filter(pk=first.pk).update(port=1)
    run = spine.run(change(spine, **{"max_failures: 0": "max_failures: 1"}))
    assert list(run.targets.values_list("name", "batch")) == [("a", 0), ("b", 0), ("c", 1)]
    assert run.status == "partial"


def test_a_dry_run_only_looks(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run(
        """
        name: dry
        steps:
          - {name: look, effect: read, run: {bash: 'true'}}
          - {name: checked, run: {bash: 'exit 1'}, check: {bash: 'echo would change'}}
          - {name: unchecked, run: {bash: 'exit 1'}}
        """,
        dry_run=True,
    )
    assert spine.states(run) == {"a": ["succeeded", "succeeded", "skipped"]}
    assert set(Attempt.objects.values_list("body", flat=True)) == {"run", "check"}


def test_the_story_has_no_gap(spine: Spine) -> None:
    spine.add_targets("a", "b")
    run = spine.run(change(spine))
    assert list(run.events.values_list("seq", flat=True)) == list(range(1, run.last_seq + 1))


def test_no_row_stays_pending_in_a_finished_run(spine: Spine) -> None:
    spine.add_targets("a", "b")
    run = spine.run(change(spine, fail="exit 1"))
    assert not run.results.filter(state__in=("pending", "running")).exists()


def test_the_targets_secret_is_masked_in_what_it_prints(spine: Spine) -> None:
    spine.add_targets("a")
    (line,) = (spine.servers[0].folder / "login").read_text().splitlines()[1:2]
    run = spine.run(f"""
        name: leak
        steps: [{{name: leak, effect: read, run: {{bash: 'echo {line}'}}}}]
        """)
    stored = b"".join(bytes(c.data) for c in OutputChunk.objects.filter(attempt__result__run=run))
    assert stored == b"********\n"


@pytest.mark.parametrize("status", ["held", "queued"])
def test_a_hold_waits_for_its_author(spine: Spine, status: str) -> None:
    spine.add_targets("a")
    run = spine.submit(change(spine), hold=status == "held")
    assert run.status == status


def test_a_run_on_production_waits_for_an_approval(spine: Spine) -> None:
    (target,) = spine.add_targets("a")
    Target.objects.filter(pk=target.pk).update(environment="prod")
    run = spine.submit(change(spine))
    assert (run.status, run.approvals_required) == ("awaiting_approval", 1)


def test_a_target_that_another_run_left_unknown_is_blocked(spine: Spine) -> None:
    spine.add_targets("a")
    earlier = spine.run(change(spine))
    row = earlier.targets.get()
    TargetLock.objects.create(key=f"target:{row.target_id}", run=earlier, run_target=row)
    run = spine.run(change(spine))
    assert spine.codes(run) == {"target.locked"}


def test_reading_takes_no_lock(spine: Spine) -> None:
    spine.add_targets("a")
    earlier = spine.run(change(spine))
    row = earlier.targets.get()
    TargetLock.objects.create(key=f"target:{row.target_id}", run=earlier, run_target=row)
    run = spine.run("{name: look, steps: [{name: look, effect: read, run: {bash: 'true'}}]}")
    assert run.status == "succeeded"


def test_the_plan_hash_covers_every_target(spine: Spine) -> None:
    spine.add_targets("a")
    one = spine.submit(change(spine))
    spine.add_targets("b")
    two = spine.submit(change(spine))
    assert json.loads(one.header)["workflow"] == json.loads(two.header)["workflow"]
    assert one.plan_hash != two.plan_hash


def test_a_target_whose_transport_does_not_fit_is_refused_at_submission(spine: Spine) -> None:
    (target,) = spine.add_targets("a")
    Target.objects.filter(pk=target.pk).update(transport="winrm")
    with pytest.raises(PlanError, match="Correct the transport of a"):
        spine.submit(change(spine))


@pytest.mark.parametrize(
    ("source", "author"),
    [
        ({}, "person"),
        ({"kind": "catalogue", "model": None}, "person"),
        ({"kind": "catalogue", "model": "some model"}, "ai"),
        ({"kind": "ai"}, "ai"),
        ({"kind": "a kind nobody knows"}, "ai"),
    ],
)
def test_what_a_model_wrote_or_nobody_knows_counts_as_written_by_an_ai(
    spine: Spine, source: dict[str, str | None], author: str
) -> None:
    spine.add_targets("a")
    assert spine.submit(change(spine), source=source).author_kind == author


def test_a_stranger_sees_no_run(spine: Spine) -> None:
    spine.add_targets("a")
    spine.submit(change(spine))
    stranger = User.objects.create_user("mallory")
    assert not JobRun.objects.visible_to(stranger).exists()
    assert JobRun.objects.visible_to(spine.person).count() == 1
