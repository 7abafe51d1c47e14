"""Loops, retries, reboots, fixed values: what a step may say, and the plain steps that become of it."""

from __future__ import annotations

import pytest

from automation.definitions.errors import DefinitionError
from automation.definitions.expanding import expand, left_out
from automation.definitions.schema import Workflow, load_workflow

HEAD = """\
name: steps
parameters:
  packages: {type: list, required: false}
  mode: {type: string, required: false}
  token: {type: secret, required: false}
  peer: {type: target, required: false}
steps:
"""


def steps(*lines: str) -> Workflow:
    return load_workflow(HEAD + "".join(f"  - {line}\n" for line in lines))


def refused(*lines: str) -> list[tuple[int | None, str, str]]:
    with pytest.raises(DefinitionError) as caught:
        steps(*lines)
    return [(error["line"], error["path"], error["message"]) for error in caught.value.errors]


def test_a_loop_becomes_a_step_for_each_item() -> None:
    workflow = steps("{name: install, for_each: packages, run: {bash: 'x'}}", "{name: b, run: {bash: 'y'}}")
    plain = expand(workflow, {"packages": ["nginx", "curl"]})
    assert [(step.name, step.values) for step in plain.steps] == [
        ("install [nginx]", {"item": "nginx"}),
        ("install [curl]", {"item": "curl"}),
        ("b", {}),
    ]
    assert Workflow.from_canonical(plain.canonical()) == plain


def test_a_loop_over_a_literal_list_keeps_its_values() -> None:
    workflow = steps("{name: s, for_each: [a, b], values: {mood: good}, run: {bash: 'x'}}")
    assert [step.values for step in expand(workflow, {}).steps] == [
        {"mood": "good", "item": "a"},
        {"mood": "good", "item": "b"},
    ]


def test_items_that_look_alike_get_names_of_their_own() -> None:
    workflow = steps("{name: s, for_each: packages, run: {bash: 'x'}}", "{name: 's [a]', run: {bash: 'x'}}")
    names = [step.name for step in expand(workflow, {"packages": ["a", "a", "x" * 200, "\t"]}).steps]
    assert len(set(names)) == 5
    assert names[0] == "s [a] (2)"
    assert all(len(name) <= 100 and name.isprintable() for name in names)


def test_an_empty_loop_leaves_no_step_and_is_told() -> None:
    workflow = steps("{name: s, for_each: packages, run: {bash: 'x'}}", "{name: b, run: {bash: 'y'}}")
    assert [step.name for step in expand(workflow, {}).steps] == ["b"]
    assert left_out(workflow, {}) == ["s"]
    with pytest.raises(DefinitionError, match="nothing to do"):
        expand(steps("{name: s, for_each: packages, run: {bash: 'x'}}"), {"packages": []})


def test_what_loops_make_is_bounded() -> None:
    workflow = steps("{name: s, for_each: packages, run: {bash: 'x'}}", "{name: b, run: {bash: 'y'}}")
    assert len(expand(workflow, {"packages": [str(n) for n in range(99)]}).steps) == 100
    with pytest.raises(DefinitionError, match=r"steps\[1\].for_each: unrolled, .* more than 100 steps"):
        expand(workflow, {"packages": [str(n) for n in range(100)]})


def test_a_condition_may_look_at_the_item_and_at_values() -> None:
    when = "when: 'parameters.item != parameters.a'"
    text = f"{{name: s, for_each: packages, values: {{a: x}}, {when}, run: {{bash: x}}}}"
    assert steps(text).steps[0].for_each == "packages"
    outside = "{name: s, when: 'parameters.item == \"x\"', run: {bash: x}}"
    assert "there is no parameter 'item'" in refused(outside)[0][2]


def test_a_reboot_becomes_a_script_for_each_platform_that_ends_with_the_restart() -> None:
    workflow = steps("{name: r, become: true, reboot: {timeout: 20m}, verify: {bash: 'true'}}")
    assert workflow.tier == "change"
    (step,) = expand(workflow, {}).steps
    assert (step.reboots, step.timeout, step.reboot) == (True, 1200, None)
    assert step.run and step.run.bash and step.run.powershell
    assert step.verify and step.verify.bash == "true"


REFUSED = {
    "{name: s, for_each: package, run: {bash: x}}": (
        "steps[0].for_each",
        "the parameter 'package' does not exist; did you mean 'packages'?",
    ),
    "{name: s, for_each: mode, run: {bash: x}}": ("steps[0].for_each", "the parameter 'mode' is no list"),
    "{name: s, for_each: [], run: {bash: x}}": ("steps[0].for_each", "must have at least 1 items"),
    "{name: s, values: {mode: x}, run: {bash: x}}": (
        "steps[0].values.mode",
        "'mode' is the name of a parameter already",
    ),
    "{name: s, retry: {attempts: 2}, run: {bash: x}}": ("steps[0]", "retry needs idempotent: true"),
    "{name: s, idempotent: true, retry: {atempts: 2}, run: {bash: x}}": (
        "steps[0].retry.atempts",
        "unknown key; did you mean 'attempts'?",
    ),
    "{name: s, idempotent: true, retry: {attempts: 11}, run: {bash: x}}": (
        "steps[0].retry.attempts",
        "must be at most 10",
    ),
    "{name: s, idempotent: true, retry: {attempts: 2, on: [unknown]}, run: {bash: x}}": (
        "steps[0].retry.on[0]",
        "must be 'failed', 'timed_out' or 'unreachable'",
    ),
    "{name: s}": ("steps[0]", "needs one of run, reboot"),
    "{name: s, run: {bash: x}, reboot: {}}": ("steps[0]", "needs one of run, reboot"),
    "{name: s, reboot: {timout: 3m}}": ("steps[0].reboot.timout", "unknown key; did you mean 'timeout'?"),
    "{name: s, reboot: {timeout: 3h}}": ("steps[0].reboot.timeout", "must be at most 2h"),
    "{name: s, effect: read, reboot: {}}": ("steps[0]", "a step that reboots is no read"),
    "{name: s, reboot: {}, undo: {bash: x}}": ("steps[0]", "a reboot can be verified, but not"),
    "{name: s, upload: {file: a, to: b}}": ("steps[0].upload.to", "must be an absolute path"),
    "{name: s, upload: {file: a, to: /a/../b}}": ("steps[0].upload.to", "must not hold the parts"),
    "{name: s, upload: {file: a, to: /b, mod: '0600'}}": (
        "steps[0].upload.mod",
        "unknown key; did you mean 'mode'?",
    ),
    "{name: s, upload: {file: a, to: /b, mode: '9'}}": ("steps[0].upload.mode", "must match ^[0-7]{3,4}$"),
    "{name: s, upload: {file: a, to: /b, owner: '$(x)'}}": ("steps[0].upload.owner", "must match"),
    "{name: s, upload: {file: a, to: /b}, undo: {bash: x}}": ("steps[0]", "brings its own check and undo"),
    "{name: s, idempotent: true, retry: {attempts: 2}, upload: {file: a, to: /b}}": (
        "steps[0]",
        "a reboot or an upload is not tried again",
    ),
    "{name: s, download: {from: /b}}": ("steps[0]", "it needs effect: read"),
    "{name: s, effect: read, download: {fron: /b}}": (
        "steps[0].download.fron",
        "unknown key; did you mean 'from'?",
    ),
    "{name: s, when: 'parameters.token == \"x\"', run: {bash: x}}": (
        "steps[0].when",
        "the parameter 'token' is a secret, which no condition may look at",
    ),
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_a_step_may_not_say_is_told_with_line_and_path(line: str) -> None:
    path, message = REFUSED[line]
    found = refused(line)
    assert any((at, where) == (8, path) and message in said for at, where, said in found)


def test_uploads_and_downloads_become_scripts_with_their_places_quoted() -> None:
    workflow = steps(
        "{name: u, upload: {file: a.conf, to: '/etc/it''s $(here)'}}",
        "{name: d, effect: read, download: {from: /var/log/x}}",
    )
    assert Workflow.from_canonical(workflow.canonical()) == workflow
    put, fetch = expand(workflow, {}, hashes={"a.conf": "0" * 64}).steps
    assert put.run and put.run.bash and put.check and put.undo
    assert put.run.bash.startswith("""to='/etc/it'"'"'s $(here)'\n""")
    assert fetch.run and fetch.run.bash and "from=/var/log/x\n" in fetch.run.bash
    assert put.run.powershell is None


def test_a_condition_cannot_name_a_loop() -> None:
    loop = "{name: s, for_each: [a], run: {bash: x}}"
    assert "is a loop" in refused(loop, "{name: b, when: 'steps.s.exit_code == 0', run: {bash: x}}")[0][2]


def test_what_comes_with_a_target_is_no_other_parameters_name() -> None:
    text = HEAD.replace("  mode:", "  peer_address:") + "  - {name: s, run: {bash: x}}\n"
    with pytest.raises(DefinitionError, match="comes with a parameter of type target already"):
        load_workflow(text)


def test_a_secret_has_no_default() -> None:
    text = HEAD.replace("type: secret, required: false", "type: secret, default: x")
    with pytest.raises(DefinitionError, match="a secret has no default"):
        load_workflow(text + "  - {name: s, run: {bash: x}}\n")
