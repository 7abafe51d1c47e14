"""Names that a shell, a terminal, a page or a command line could take for something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from automation.libraries.errors import TargetInvalid
from automation.libraries.resolution import parse_target
from automation.models import Group, JobRun, OutputChunk, StepResult, Target
from tests.workers.spine import Spine

TARGETS = "/api/v1/targets/"
GROUPS = "/api/v1/groups/"
# Each of these would leave a file behind if anything ever ran it.
HARD = [
    "$(touch {mark})",
    "`touch {mark}`",
    "a; touch {mark}",
    "a | touch {mark} #",
    "🐧 Büro 日本",
    "<script>alert(1)</script>",
    "{{ 7 * 7 }} %s {0}",
    "../../etc",
]
REFUSED = ["-oProxyCommand=touch x", "--help", "a\nb", "a\x1b[31mb", "a\x00b", 'say "x"', "it's", " ", ""]
ADDRESSES = [
    "-oProxyCommand=touch x",
    "--",
    "-p22",
    "ops@web1",
    "web1 -oProxyCommand=x",
    "$(touch x)",
    "`id`",
    "web1;id",
    "web1\nweb2",
    "web1\x00",
    "http://web1/",
    "wéb1",
    "x" * 254,
]


@pytest.mark.parametrize("pattern", HARD)
def test_a_hard_name_goes_through_a_whole_run_as_it_is(spine: Spine, pattern: str) -> None:
    mark = spine.scratch / "executed"
    name = pattern.format(mark=mark) if "mark" in pattern else pattern
    spine.add_targets(name, group=name)
    Target.objects.get().full_clean(exclude=["bastion"])
    Group.objects.get().full_clean()
    workflow = {
        "name": "hard-names",
        "summary": name,
        "parameters": {"text": {"type": "string"}},
        "steps": [
            {"name": name, "effect": "read", "run": {"bash": 'printf %s "$text"'}},
            {"name": f"{name} too", "run": {"bash": 'printf %s "$text"'}},
        ],
    }
    run = spine.run(json.dumps(workflow), targets=f'group:"{name}"', parameters={"text": name})
    assert spine.states(run) == {name: ["succeeded", "succeeded"]}
    assert [result.step for result in StepResult.objects.order_by("step_index")] == [name, f"{name} too"]
    assert b"".join(OutputChunk.objects.order_by("pk").values_list("data", flat=True)).decode() == name * 2
    assert not mark.exists()
    assert not list(Path.cwd().glob("executed*"))


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_misleads_is_refused_for_targets_and_groups(clients: Any, name: str) -> None:
    for url, body in ((TARGETS, {"name": name, "address": "10.0.0.1"}), (GROUPS, {"name": name})):
        answer = clients["admin"].post(url, body)
        assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
        problem = answer.json()
        assert problem["code"] == "invalid"
        assert {error["field"] for error in problem["errors"]} == {"name"}
    assert not Target.objects.exists() and not Group.objects.exists()


@pytest.mark.parametrize(
    "text", ["a'b", 'say "hi"', "-rf", "$(id)", "`id`", "a\nb", "\t", "🐧", "\\", "%", "'"]
)
def test_a_value_is_data_whatever_it_holds(spine: Spine, text: str) -> None:
    spine.add_targets("a")
    run = spine.run(
        """
        name: say
        parameters: {text: {type: string}}
        steps:
          - {name: read, effect: read, run: {bash: 'printf %s "$text"'}}
          - {name: change, run: {bash: 'printf %s "$text"; echo "kept=$text" >> "$OPSPORTAL_OUTPUT"'}}
        """,
        parameters={"text": text},
    )
    assert run.status == "succeeded"
    assert b"".join(OutputChunk.objects.order_by("pk").values_list("data", flat=True)).decode() == text * 2


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_could_be_an_option_or_a_command_is_refused_everywhere(
    clients: Any, address: str
) -> None:
    answer = clients["admin"].post(TARGETS, {"name": "a", "address": address})
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert {error["field"] for error in answer.json()["errors"]} == {"address"}
    with pytest.raises(ValidationError):
        Target(name="a", address=address).full_clean()
    with pytest.raises(TargetInvalid):
        parse_target(address)
    assert not Target.objects.exists()


def test_a_step_or_workflow_of_a_misleading_name_is_refused_with_its_line(clients: Any) -> None:
    for name in ("a\nb", "", " a", "x" * 101):
        definition = f"name: ok\nsteps:\n  - {{name: {json.dumps(name)}, effect: read, run: {{bash: id}}}}\n"
        answer = clients["admin"].post("/api/v1/workflows/", {"text": definition})
        assert answer.status_code == 400, name
        assert answer.json()["errors"][0]["line"] == 3
    assert not JobRun.objects.exists()
