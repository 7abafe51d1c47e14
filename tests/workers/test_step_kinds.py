"""Loops, fixed values and target parameters on real targets."""

from __future__ import annotations

import json

import pytest

from automation.definitions.errors import ParameterError
from automation.models import Attempt, Target
from automation.plan import PlanError
from automation.workers.shard import load_works
from tests.workers.spine import Spine

LOOP = """
    name: loop
    rollout: {canary: 0, on_failure: undo}
    parameters: {names: {type: list, required: false}}
    steps:
      - name: make
        for_each: names
        values: {greeting: 'it''s'}
        when: 'parameters.item != "skipped"'
        run: {bash: 'echo "$greeting $item" >> LOG; [ "$item" != bad ]'}
        undo: {bash: 'echo "undo $item" >> LOG'}
      - {name: last, run: {bash: 'echo last >> LOG'}}
"""


def loop(spine: Spine) -> str:
    return LOOP.replace("LOG", str(spine.scratch / "log"))


def log(spine: Spine) -> list[str]:
    return (spine.scratch / "log").read_text().splitlines()


def test_each_item_is_a_step_of_the_plan_and_runs_in_order(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run(loop(spine), parameters={"names": ["one", "skipped", "$(two)"]})
    assert log(spine) == ["it's one", "it's $(two)", "last"]
    rows = list(run.results.values_list("step", "state"))
    assert rows == [
        ("make [one]", "succeeded"),
        ("make [skipped]", "skipped"),
        ("make [$(two)]", "succeeded"),
        ("last", "succeeded"),
    ]
    assert len(json.loads(run.header)["workflow"]["steps"]) == 4


def test_items_are_undone_last_first(spine: Spine) -> None:
    spine.add_targets("a")
    spine.run(loop(spine), parameters={"names": ["one", "bad", "never"]})
    assert log(spine) == ["it's one", "it's bad", "undo bad", "undo one"]


def test_an_empty_list_is_told_in_the_plan(spine: Spine) -> None:
    spine.add_targets("a")
    run = spine.run(loop(spine))
    assert (log(spine), json.loads(run.header)["steps_left_out"]) == (["last"], ["make"])


PEER = """
    name: peer
    parameters: {peer: {type: target}}
    steps:
      - {name: s, effect: read, run: {bash: '[ "$peer $peer_address" = "b 127.0.0.1" ]'}}
"""


def test_a_target_parameter_gives_its_name_and_address(spine: Spine) -> None:
    spine.add_targets("a", "b")
    run = spine.run(PEER, targets="name:a", parameters={"peer": "b"})
    assert run.status == "succeeded"
    assert json.loads(run.header)["parameters"] == {"peer": "b", "peer_address": "127.0.0.1"}


def test_a_target_nobody_knows_is_refused_with_the_nearest_name(spine: Spine) -> None:
    spine.add_targets("web-1", "web-2")
    with pytest.raises(ParameterError, match=r"there is no target 'wev-1'.*did you mean 'web-1'"):
        spine.submit(PEER, targets="all", parameters={"peer": "wev-1"})
    assert not Attempt.objects.exists()


PLATFORMS = """
    name: platforms
    steps:
      - {name: both, effect: read, run: {bash: 'true', powershell: 'exit 0'}}
      - {name: linux only, STEP}
"""


@pytest.mark.parametrize("step", ["run: {bash: 'true'}", "effect: read, download: {from: /etc/hostname}"])
def test_a_step_without_a_body_for_a_targets_platform_is_refused_by_name(spine: Spine, step: str) -> None:
    spine.add_targets("a", "b")
    Target.objects.filter(name="b").update(platform="windows", transport="winrm")
    with pytest.raises(PlanError, match="step 'linux only' has no run body for windows") as caught:
        spine.submit(PLATFORMS.replace("STEP", step))
    assert caught.value.code == "body.missing"


def test_each_target_gets_the_body_of_its_platform(spine: Spine) -> None:
    spine.add_targets("a", "b")
    Target.objects.filter(name="b").update(platform="windows", transport="winrm")
    run = spine.submit(PLATFORMS.split("      - {name: linux only")[0])
    scripts = {
        work.leaf["name"]: work.sequence.script(0, "run") for work in load_works(run, run.targets.all())
    }
    assert scripts == {"a": "true", "b": "exit 0"}
