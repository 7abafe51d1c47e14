"""What broke is undone, last first, and looked at again."""

from automation.models import Attempt
from tests.workers.spine import Spine

TWO_STEPS = """
    name: two
    rollout: {canary: 0, on_failure: undo}
    steps:
      - name: first
        run: {bash: 'echo 1 > FILE'}
        verify: {bash: '[ "$OPSPORTAL_PHASE" = run ] || [ ! -e FILE ]'}
        undo: {bash: 'echo "undo first" >> LOG; UNDO'}
      - name: second
        run: {bash: 'exit 5'}
        undo: {bash: 'echo "undo second" >> LOG'}
"""


def two_steps(spine: Spine, undo: str = "rm FILE") -> str:
    text = TWO_STEPS.replace("UNDO", undo)
    return text.replace("FILE", str(spine.scratch / "file")).replace("LOG", str(spine.scratch / "log"))


def test_steps_are_undone_last_first(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run(two_steps(spine))
    assert (spine.scratch / "log").read_text() == "undo second\nundo first\n"
    assert list(run.results.values_list("state", "undone")) == [("succeeded", True), ("failed", True)]


def test_an_undo_counts_only_when_verify_says_that_all_is_as_before(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run(two_steps(spine, undo="true"))
    first = run.results.get(step="first")
    assert (first.undone, "Verify after undo" in first.message) == (False, True)
    looked = Attempt.objects.filter(result=first, body="verify").order_by("number")
    assert [attempt.after_undo for attempt in looked] == [False, True]


def test_a_step_without_undo_is_left_as_it_is(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run("""
        name: none
        rollout: {canary: 0, on_failure: undo}
        steps: [{name: one, run: {bash: 'exit 1'}}]
        """)
    assert run.results.get().undone is None


def test_without_on_failure_undo_nothing_is_undone(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run(two_steps(spine).replace("on_failure: undo", "on_failure: stop"))
    assert list(run.results.values_list("undone", flat=True)) == [None, None]


def test_a_step_that_did_not_verify_is_undone_too(spine: Spine) -> None:
    spine.add_targets("a")
    log = spine.scratch / "log"
    run = spine.run(f"""
        name: unverified
        rollout: {{canary: 0, on_failure: undo}}
        steps:
          - name: one
            run: {{bash: 'true'}}
            verify: {{bash: '[ "$OPSPORTAL_PHASE" = undo ]'}}
            undo: {{bash: 'echo undone >> {log}'}}
        """)
    result = run.results.get()
    assert (result.state, result.code, result.verified, result.undone) == (
        "failed",
        "verify.failed",
        False,
        True,
    )
    assert log.read_text() == "undone\n"
