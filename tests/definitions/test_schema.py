import json
from collections.abc import Callable
from typing import Any

import pytest

from automation.definitions.durations import Percent
from automation.definitions.errors import DefinitionError, Finding
from automation.definitions.schema import (
    MAX_SCRIPT_BYTES,
    Bodies,
    Workflow,
    json_schema,
    load_workflow,
    missing_bodies,
    read_rollout,
    read_workflow,
)
from tests.definitions.samples import SMALL, UPDATE_PACKAGE


def findings_of(text: str) -> list[Finding]:
    with pytest.raises(DefinitionError) as caught:
        load_workflow(text)
    return caught.value.errors


def test_the_example_of_the_documentation_loads_typed() -> None:
    workflow = load_workflow(UPDATE_PACKAGE)
    update = workflow.steps[1]

    assert (update.timeout, update.become, update.effect) == (900, True, "change")
    assert workflow.rollout is not None
    assert workflow.rollout.batches == (Percent(25), Percent(100))
    assert (workflow.rollout.max_failures, workflow.rollout.bake) == (Percent(10), 10)
    assert workflow.parameters["service"].is_required is False


def test_what_is_left_out_has_safe_defaults() -> None:
    step = load_workflow(SMALL).steps[0]

    assert (step.effect, step.timeout, step.become, step.reboots, step.when) == (
        "change",
        600,
        False,
        False,
        None,
    )


def test_a_canonical_workflow_is_json_and_comes_back_equal() -> None:
    workflow = load_workflow(UPDATE_PACKAGE)
    stored = json.dumps(workflow.canonical(), sort_keys=True)

    assert Workflow.from_canonical(json.loads(stored)) == workflow
    assert json.dumps(Workflow.from_canonical(json.loads(stored)).canonical(), sort_keys=True) == stored


def test_spellings_of_the_same_workflow_have_one_canonical_form() -> None:
    minutes = SMALL + "    timeout: 10m\n"
    seconds = SMALL + "    timeout: 600\n    effect: change\n"

    assert (
        load_workflow(minutes).canonical()
        == load_workflow(seconds).canonical()
        == load_workflow(SMALL).canonical()
    )


def test_json_is_accepted_by_the_same_function() -> None:
    workflow = load_workflow(UPDATE_PACKAGE)

    assert load_workflow(json.dumps(workflow.canonical())) == workflow
    assert load_workflow(json.dumps(workflow.canonical(), indent="\t")) == workflow


def test_an_error_in_json_names_its_line() -> None:
    data = {**load_workflow(SMALL).canonical(), "stps": []}

    (finding,) = findings_of(json.dumps(data, indent=1))

    assert finding["line"] == 1 + json.dumps(data, indent=1).splitlines().index(' "stps": []')


def test_plain_data_is_read_without_lines() -> None:
    with pytest.raises(DefinitionError) as caught:
        read_workflow({"name": "x"})

    assert caught.value.errors == [{"line": None, "path": "steps", "message": "is required"}]


def test_the_tier_is_the_highest_effect_of_any_step() -> None:
    destructive = (
        SMALL
        + "  - {name: b, effect: destructive, run: {bash: x}}\n  - {name: c, effect: read, run: {bash: x}}\n"
    )

    assert load_workflow(destructive).tier == "destructive"
    assert load_workflow(SMALL).tier == "change"


def test_all_errors_are_collected_with_line_path_and_nearest_key() -> None:
    text = (
        "name: Bad Name\n"
        "parameters:\n"
        "  PATH: {}\n"
        "  count: {typ: integer}\n"
        "steps:\n"
        "  - name: one\n"
        "    timeot: 5m\n"
        "    become: yes\n"
        "    effect: reed\n"
        "    run:\n"
        "      bsh: 'true'\n"
    )

    found = [(each["line"], each["path"], each["message"]) for each in findings_of(text)]

    assert (1, "name", "must be lower-case letters, digits and hyphens, at most 64") in found
    assert (3, "parameters.PATH", "the name 'PATH' is refused: it would change how the shell works") in found
    assert (4, "parameters.count.typ", "unknown key; did you mean 'type'?") in found
    assert (7, "steps[0].timeot", "unknown key; did you mean 'timeout'?") in found
    assert (8, "steps[0].become", "must be true or false") in found
    assert (9, "steps[0].effect", "must be 'read', 'change' or 'destructive'") in found
    assert (11, "steps[0].run.bsh", "unknown key; did you mean 'bash'?") in found
    assert [line for line, _, _ in found] == sorted(line for line, _, _ in found if line)


def test_the_text_of_an_error_names_origin_line_and_path() -> None:
    with pytest.raises(DefinitionError, match=r"a\.yaml, line 3: steps\[0\]\.wen: unknown key") as caught:
        load_workflow("name: x\nsteps:\n - {name: a, wen: 'true', run: {bash: x}}\n", origin="a.yaml")

    assert caught.value.code == "definition.invalid"


STEP_ERRORS = {
    "timeout: 0": ("timeout", "must be at least 1s"),
    "timeout: 8d": ("timeout", "must be at most 7d"),
    "timeout: 5 minutes": ("timeout", "must be a duration: 10s, 15m, 2h, 1d or whole seconds"),
    "timeout: -5": ("timeout", "must be a duration: 10s, 15m, 2h, 1d or whole seconds"),
    "timeout: 1:30": ("timeout", "must be a duration: 10s, 15m, 2h, 1d or whole seconds"),
    "timeout: 1.5": ("timeout", "must be a duration: 10s, 15m, 2h, 1d or whole seconds"),
    "timeout: true": ("timeout", "must be a duration: 10s, 15m, 2h, 1d or whole seconds"),
    "become: 1": ("become", "must be true or false"),
    "when: true": ("when", "must be text; put it in quotes"),
    "when: '1 +'": ("when", "column 4: mismatched input '<EOF>'"),
    "verify: {}": ("verify", "needs a script for bash or powershell"),
    "verify: {bash: '  '}": ("verify.bash", "the script is empty"),
    'verify: {bash: "a\\0b"}': ("verify.bash", "must not contain a NUL character"),
    "verify: {bash: 5}": ("verify.bash", "must be text; put it in quotes"),
    "verify: true": ("verify", "must be a mapping of keys and values"),
}


@pytest.mark.parametrize("line", STEP_ERRORS)
def test_a_mistake_in_a_step_is_explained(line: str) -> None:
    path, message = STEP_ERRORS[line]

    assert findings_of(SMALL + f"    {line}\n") == [
        {"line": 5, "path": f"steps[0].{path}", "message": message}
    ]


ROLLOUT_ERRORS: dict[str, tuple[str, str]] = {
    "canary: -1": ("canary", "must be at least 0"),
    "canary: 1.5": ("canary", "must be a whole number"),
    "batches: []": ("batches", "must have at least 1 items"),
    "batches: [0]": ("batches[0]", "must be at least 1"),
    "batches: [101%]": ("batches[0]", "a percentage must be between 1% and 100%"),
    "batches: [half]": ("batches[0]", 'must be a whole number or a percentage such as "25%"'),
    "max_failures: 0%": ("max_failures", "a percentage must be between 1% and 100%"),
    "max_parallel: 0": ("max_parallel", "must be at least 1"),
    "bake: 2d": ("bake", "must be at most 1d"),
    "on_failure: panic": ("on_failure", "must be 'undo', 'stop' or 'pause'"),
}


@pytest.mark.parametrize("line", ROLLOUT_ERRORS)
def test_a_mistake_in_a_rollout_is_explained(line: str) -> None:
    path, message = ROLLOUT_ERRORS[line]

    assert findings_of(f"{SMALL}rollout:\n  {line}\n") == [
        {"line": 6, "path": f"rollout.{path}", "message": message}
    ]


def test_the_rollout_of_one_run_is_read_by_the_same_rules() -> None:
    assert read_rollout({"canary": 2, "max_failures": "5%"}).max_failures == Percent(5)
    with pytest.raises(DefinitionError, match="rollout: canry: unknown key; did you mean 'canary'"):
        read_rollout({"canry": 2})


def test_step_names_are_unique_trimmed_and_at_most_100_characters() -> None:
    assert findings_of(SMALL + "  - {name: first, run: {bash: x}}\n") == [
        {"line": 5, "path": "steps[1].name", "message": "the name 'first' belongs to an earlier step"}
    ]
    for name in ('""', '" a"', '"a\\nb"', "x" * 101):
        assert findings_of(SMALL.replace("first", name))[0]["path"] == "steps[0].name"
    assert load_workflow(SMALL.replace("first", "x" * 100)).steps[0].name == "x" * 100


def test_a_read_step_has_nothing_to_undo_and_does_not_reboot() -> None:
    read = SMALL + "    effect: read\n"

    assert "cannot have undo" in findings_of(read + "    undo: {bash: x}\n")[0]["message"]
    assert "reboots is no read" in findings_of(read + "    reboots: true\n")[0]["message"]


CONDITION_ERRORS = {
    'steps["frist"].exit_code == 0': "there is no step 'frist'; did you mean 'first'?",
    'steps["second"].exit_code == 0': "the step 'second' does not come before this one",
    'steps["third"].exit_code == 0': "the step 'third' does not come before this one",
    'parameters.pakage == "x"': "there is no parameter 'pakage'; did you mean 'package'?",
}


@pytest.mark.parametrize("condition", CONDITION_ERRORS)
def test_a_condition_may_only_name_earlier_steps_and_declared_parameters(condition: str) -> None:
    text = (
        f"{SMALL}  - name: second\n    when: '{condition}'\n    run: {{bash: x}}\n"
        "  - {name: third, run: {bash: x}}\nparameters: {package: {}}\n"
    )

    assert findings_of(text) == [{"line": 6, "path": "steps[1].when", "message": CONDITION_ERRORS[condition]}]


def test_the_query_of_a_workflow_is_checked_with_its_column() -> None:
    (finding,) = findings_of(SMALL + "targets: 'grup:web'\n")

    assert (finding["line"], finding["path"]) == (5, "targets")
    assert finding["message"] == "column 1: no field 'grup'; did you mean group:?"


LIMITS: dict[str, Callable[[], dict[str, Any]]] = {
    "steps": lambda: {"steps": [{"name": f"s{n}", "run": {"bash": "x"}} for n in range(101)]},
    "parameters": lambda: {"parameters": {f"p{n}": {} for n in range(101)}},
    "steps[0].run.bash": lambda: {"steps": [{"name": "s", "run": {"bash": "x" * (MAX_SCRIPT_BYTES + 1)}}]},
    "summary": lambda: {"summary": "x" * 501},
}


@pytest.mark.parametrize("path", LIMITS)
def test_a_definition_has_limits(path: str) -> None:
    data = {"name": "x", "steps": [{"name": "s", "run": {"bash": "x"}}], **LIMITS[path]()}

    with pytest.raises(DefinitionError, match="at most") as caught:
        read_workflow(data)

    assert [each["path"] for each in caught.value.errors] == [path]


def test_a_script_of_the_largest_size_loads_from_text() -> None:
    line = "echo " + "x" * 94 + "\n"
    script = line * (MAX_SCRIPT_BYTES // len(line))
    text = "name: big\nsteps:\n- name: s\n  run:\n    bash: |\n" + "".join(
        f"      {line}" for _ in range(script.count("\n"))
    )

    assert load_workflow(text).steps[0].bodies("run") == Bodies(bash=script)


def test_half_a_surrogate_pair_is_refused() -> None:
    text = json.dumps({"name": "x", "steps": [{"name": "s", "run": {"bash": "echo \ud83d"}}]})

    assert findings_of(text)[0]["path"] == "steps[0].run.bash"


def test_a_platform_without_every_declared_body_is_reported() -> None:
    workflow = load_workflow(UPDATE_PACKAGE)

    assert missing_bodies(workflow, ["linux", "linux"]) == []
    assert [
        (each.step, each.kind, each.shell) for each in missing_bodies(workflow, ["linux", "windows"])
    ] == [("update", kind, "powershell") for kind in ("check", "run", "verify", "undo")]
    assert missing_bodies(load_workflow(SMALL), ["plan9"])[0].shell is None


def test_the_published_schema_names_every_key_and_is_plain_json() -> None:
    schema = json.loads(json.dumps(json_schema()))

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["properties"]) == {"name", "summary", "parameters", "targets", "rollout", "steps"}
    assert schema["additionalProperties"] is False
    assert {"type": "string", "pattern": "^([1-9]|[1-9][0-9]|100) ?%$"} in (
        schema["$defs"]["Rollout"]["properties"]["max_failures"]["anyOf"]
    )


def test_a_workflow_cannot_be_changed() -> None:
    workflow = load_workflow(SMALL)

    with pytest.raises(ValueError, match="frozen"):
        workflow.name = "other"  # type: ignore[misc]
