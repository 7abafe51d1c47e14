"""The oracle sees what it is there to see."""

from datetime import timedelta
from random import Random

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from automation.models import Attempt, JobRun, RunTarget, StepResult, TargetLock
from tests.acceptance.chaos.faults import Fault, plan_faults
from tests.acceptance.chaos.oracle import Effect, Verdict, judge, read_effects
from tests.acceptance.chaos.workload import StepPlan, Submission, invent

STEP = StepPlan("s0", True, False, 1, 0.1, 0, False, False)


class Story:
    """One run of one changing step on web1 that went well; a test makes one thing of it wrong."""

    def __init__(self) -> None:
        now = timezone.now()
        self.run = JobRun.objects.create(
            status="succeeded",
            header="{}",
            submitted_by=User.objects.create_user("chaos"),
            total=1,
            max_failures=0,
            max_parallel=1,
            expires_at=now,
        )
        self.target = RunTarget.objects.create(
            run=self.run, name="web1", position=0, batch=0, leaf="{}", state="done", good=True
        )
        self.result = StepResult.objects.create(
            run=self.run, run_target=self.target, step_index=0, step="s0", state="succeeded"
        )
        self.attempt = self.try_once("ended")
        self.wanted = Submission("r1", "all", {}, [STEP], run=self.run.pk)
        self.effects = [self.effect("begin"), self.effect("end")]
        self.faults: list[Fault] = []

    def try_once(self, state: str, number: int = 1) -> Attempt:
        now = timezone.now()
        return Attempt.objects.create(
            result=self.result,
            body="run",
            number=number,
            state=state,
            mode="envelope",
            become=False,
            intent_at=now - timedelta(seconds=5),
            ended_at=now,
        )

    def effect(self, edge: str, attempt: Attempt | None = None) -> Effect:
        return Effect("r1", "s0", "web1", (attempt or self.attempt).pk.hex, "run", edge)

    def judged(self) -> Verdict:
        return judge([self.wanted], self.effects, self.faults)


@pytest.fixture
def story(db: None) -> Story:
    del db
    return Story()


def test_a_good_run_has_no_violation(story: Story) -> None:
    assert story.judged().violations == 0


def test_a_second_begin_is_twice(story: Story) -> None:
    story.effects.append(story.effect("begin", story.try_once("ended", 2)))
    assert len(story.judged().twice) == 1


def test_success_without_the_end_on_the_target_is_falsely_green(story: Story) -> None:
    story.effects.pop()
    assert len(story.judged().falsely_green) == 1


def test_a_row_without_an_end_is_lost(story: Story) -> None:
    StepResult.objects.update(state="running")
    assert len(story.judged().lost) == 1


def test_a_run_that_goes_on_is_stuck(story: Story) -> None:
    JobRun.objects.update(status="running")
    Attempt.objects.update(state="running")
    assert len(story.judged().stuck) == 2


def test_a_fenced_attempt_that_ran_is_wrong(story: Story) -> None:
    Attempt.objects.update(state="fenced")
    assert len(story.judged().other) == len(story.effects)


def test_an_effect_of_a_row_that_sent_nothing_is_wrong(story: Story) -> None:
    StepResult.objects.update(state="unreachable")
    assert len(story.judged().other) == 1


def test_a_lock_of_a_known_target_is_wrong(story: Story) -> None:
    TargetLock.objects.create(key="k", run=story.run, run_target=story.target)
    assert len(story.judged().other) == 1


def test_unknown_needs_a_crash_of_that_host_at_that_time(story: Story) -> None:
    StepResult.objects.update(state="unknown")
    Attempt.objects.update(state="unknown", code="outcome.unknown", message="why")
    assert len(story.judged().unexplained) == 1
    now = timezone.now().timestamp()
    story.faults = [Fault(1, 0, "crash", "web2", 1, 0, at=now - 3, healed=now - 2)]
    assert len(story.judged().unexplained) == 1
    story.faults.append(Fault(2, 0, "crash", "web1", 1, 0, at=now - 3, healed=now - 2))
    assert (len(story.judged().unexplained), len(story.judged().unknown)) == (0, 1)


def test_a_line_of_another_target_is_no_effect() -> None:
    with pytest.raises(ValueError, match="web2"):
        read_effects("web1", "r1 s0 web2 ab run begin\n")


def test_a_seed_repeats_faults_and_work() -> None:
    targets = ["web1", "web2"]
    assert plan_faults(Random(7), 50, targets) == plan_faults(Random(7), 50, targets)
    assert invent(Random(7), 1) == invent(Random(7), 1)
