"""The policy of the day holds: at submission, before queueing, and in the worker."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User

from automation import decide
from automation.models import JobRun
from automation.plan import PlanError
from tests.workers.spine import Spine

CHANGE = "{name: change, rollout: {canary: 0}, steps: [{name: change, run: {bash: 'true'}}]}"
SetPolicy = Callable[[str], None]


@pytest.fixture
def set_policy(tmp_path: Path, settings: object) -> SetPolicy:
    file = tmp_path / "policy.yaml"

    def write(text: str) -> None:
        file.write_text(text)
        settings.OPSPORTAL_POLICY = file  # type: ignore[attr-defined]

    return write


def test_a_policy_may_forbid_a_run(spine: Spine, set_policy: SetPolicy) -> None:
    spine.add_targets("a")
    set_policy("rules: [{name: freeze, deny: no changes this week}]")
    with pytest.raises(PlanError, match="no changes this week"):
        spine.submit(CHANGE)
    assert not JobRun.objects.exists()


def test_a_policy_may_ask_for_a_canary(spine: Spine, set_policy: SetPolicy) -> None:
    spine.add_targets("a", "b")
    set_policy("rules: [{name: careful, canary: true}]")
    with pytest.raises(PlanError, match="canary"):
        spine.submit(CHANGE)
    assert spine.submit(CHANGE, rollout={"canary": 1}).status == "queued"


def test_a_stricter_policy_asks_for_more_before_queueing(spine: Spine, set_policy: SetPolicy) -> None:
    spine.add_targets("a")
    set_policy("rules: [{name: one, approvals: 1}]")
    run = spine.submit(CHANGE)
    set_policy("rules: [{name: now two of them, approvals: 2}]")
    for name in ("anna", "bert"):
        approver = User.objects.create_user(name)
        approver.groups.add(Group.objects.get(name="approver"))
        run = decide.approve(run.pk, by=approver, plan_hash=run.plan_hash)
        assert run.status == ("awaiting_approval" if name == "anna" else "queued")


def test_a_stricter_policy_blocks_what_is_queued_already(spine: Spine, set_policy: SetPolicy) -> None:
    spine.add_targets("a")
    set_policy("rules: [{name: free, approvals: 0}]")
    run = spine.submit(CHANGE)
    set_policy("rules: [{name: strict now, approvals: 1}]")
    spine.drain()
    assert spine.codes(run) == {"policy.denied"}
