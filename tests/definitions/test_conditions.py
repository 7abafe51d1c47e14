import random
import time
from typing import Any

import pytest

from automation.definitions.conditions import Condition
from automation.definitions.errors import ConditionError

CONTEXT: dict[str, Any] = {
    "steps": {
        "read version": {"state": "succeeded", "outputs": {"version": "1.2"}, "exit_code": 0},
        "skipped": {"state": "skipped", "outputs": {}, "exit_code": None},
    },
    "parameters": {"package": "nginx", "count": 3, "service": None, "units": ["a", "b"]},
    "variables": {"port": 80},
    "target": {
        "name": "web-1",
        "platform": "linux",
        "environment": "prod",
        "zone": "",
        "groups": ["web servers"],
        "tags": ["web"],
    },
}

TRUE = [
    'has(steps["read version"].outputs.version)',
    'steps["read version"].outputs.version == "1.2"',
    'steps["read version"].state == "succeeded" && steps["read version"].exit_code == 0',
    "steps.skipped.exit_code == null",
    "!has(steps.skipped.outputs.version)",
    'parameters.package == "nginx"',
    "!has(parameters.service)",
    "parameters['count'] == 3",
    'target.tags.exists(t, t.matches("^we"))',
    "parameters.count > 2 && variables.port == 80",
    'target.groups.exists(g, g == "web servers")',
    '"web" in target.tags',
    'target.name.matches("^web-[0-9]+$")',
    "size(parameters.units) == 2",
    'parameters.units.all(u, u != "c")',
    'true // a comment with a "quote',
]
FALSE = ["has(steps.skipped.outputs.version)", 'target.environment != "prod"', "false"]


@pytest.mark.parametrize("text", TRUE)
def test_a_condition_that_holds_is_true(text: str) -> None:
    assert Condition(text).evaluate(CONTEXT) is True


@pytest.mark.parametrize("text", FALSE)
def test_a_condition_that_does_not_hold_is_false(text: str) -> None:
    assert Condition(text).evaluate(CONTEXT) is False


NO_ANSWER = {
    "steps.skipped.outputs.version == ''": "something is looked up that is not there; use has(…)",
    'steps["gone"].exit_code == 0': "something is looked up that is not there; use has(…)",
    "parameters.count": "must give true or false, not int",
    "target.name": "must give true or false, not str",
    "null": "must give true or false, not NoneType",
    "parameters.count > 'a'": "the operation is not defined for values of these types",
    "parameters.count / 0 == 1": "division by zero",
    "9223372036854775807 + parameters.count == 0": "a number is too large",
    "[1][5] == 1": "a list has no such place",
    "timestamp(target.name) == timestamp(target.name)": "it cannot be evaluated",
}


@pytest.mark.parametrize("text", NO_ANSWER)
def test_a_condition_without_a_boolean_answer_is_an_error(text: str) -> None:
    with pytest.raises(ConditionError) as caught:
        Condition(text).evaluate(CONTEXT)

    assert str(caught.value).endswith(NO_ANSWER[text])
    assert caught.value.code == "condition.invalid"


def test_an_error_never_quotes_values() -> None:
    context = {**CONTEXT, "variables": {"port": "hunter2"}}
    for text in (
        "variables.port > 5",
        "int(variables.port) == 5",
        "variables.port",
        "duration(variables.port) > duration('1s')",
    ):
        with pytest.raises(ConditionError) as caught:
            Condition(text).evaluate(context)
        assert "hunter2" not in str(caught.value)


REFUSED = {
    "": "column 1: mismatched input '<EOF>'",
    "a b": "column 3: extraneous input 'b'",
    "1 +": "column 4: mismatched input '<EOF>'",
    "stepz.a.state == 'x'": "nothing is called 'stepz'; did you mean 'steps'?",
    "now() > 5": "there is no function 'now'; known here: size, contains",
    "target.name.startWith('a')": "there is no function 'startWith'; did you mean 'startsWith'?",
    "target.plattform == 'linux'": "a target has no 'plattform'; did you mean 'platform'?",
    "steps['a'].output.v == 'x'": "a step has no 'output'; did you mean 'outputs'?",
    "target.tags.map(t, t + t) == []": "map is not available in conditions; use exists, all or filter",
    "target.tags.exists(steps, true)": "'steps' has its own meaning; bind another name",
    "target.name.matches(target.name)": "matches takes one pattern in quotes",
    "target.name.matches('(a')": "matches: not a usable regular expression (unclosed group)",
    "target.name.matches('((a{50}){50}){50}')": "matches: counted repetitions multiply to more than 100",
    "true" + " " * 1000: "a condition has at most 1000 characters",
    "true\x00": "a condition must not contain control characters",
    "(" * 400 + "true" + ")" * 400: "column",
    "'" + "a" * 10 + "' + 'b'" + " + 'b'" * 10 + " == ''": "more than 10 additions",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_condition_that_cannot_work_is_refused_before_any_run(text: str) -> None:
    with pytest.raises(ConditionError) as caught:
        Condition(text)

    assert str(caught.value).startswith(REFUSED[text])


def nested(depth: int) -> str:
    text = "true"
    for level in range(depth):
        text = f"parameters.items.all(x{level}, {text})"
    return text


def test_comprehensions_that_multiply_are_refused() -> None:
    Condition(nested(2))
    with pytest.raises(ConditionError, match="nested"):
        Condition(nested(3))
    with pytest.raises(ConditionError, match="comprehensions"):
        Condition(" && ".join([nested(1)] * 7))


def test_the_largest_allowed_condition_ends_soon() -> None:
    items = "(" + " + ".join(["parameters.items"] * 3) + ")"
    text = f"{items}.all(x, {items}.all(y, y.size() > 0))"
    started = time.process_time()

    assert Condition(text).evaluate({**CONTEXT, "parameters": {"items": ["a"] * 89}})
    assert time.process_time() - started < 10


def test_texts_and_lists_that_are_too_large_to_look_at_are_an_error() -> None:
    outputs = {"a": {"state": "succeeded", "outputs": {"v": "x" * 5000}, "exit_code": 0}}

    assert Condition("steps.a.outputs.v.size() == 5000").evaluate({"steps": outputs})
    with pytest.raises(ConditionError, match="too large"):
        Condition(nested(2)).evaluate({"parameters": {"items": ["a"] * 500}})
    with pytest.raises(ConditionError, match="too large"):
        Condition("parameters.items.all(x, steps.a.outputs.v.contains(x))").evaluate(
            {"parameters": {"items": ["a"] * 500}, "steps": {"a": {"outputs": {"v": "x" * 500_000}}}}
        )


def test_what_a_condition_does_not_look_at_may_be_large() -> None:
    parameters = {"items": ["a"] * 50, "other": ["b"] * 1000}

    assert Condition(nested(2)).evaluate({"parameters": parameters, "variables": {"x": "y" * 100_000}})


def test_an_optional_parameter_nobody_gave_is_missing_for_has_and_an_error_otherwise() -> None:
    assert Condition("has(parameters.service)").evaluate(CONTEXT) is False
    with pytest.raises(ConditionError, match="not there"):
        Condition("parameters.service == 'x'").evaluate(CONTEXT)


HIDING = [
    'r"\\" != "" && %s && "" == ""',
    "r'''\\''' != '' && %s && '''a''' != ''",
    "'''it's''' != '' && %s",
    "true // '\n && %s // '",
    "b'\\'' != b'' && %s",
    'br"\\" != b"" && %s && "" == ""',
]


@pytest.mark.parametrize("text", HIDING)
def test_work_cannot_be_hidden_in_what_only_looks_like_a_string(text: str) -> None:
    assert Condition(text % "true").evaluate(CONTEXT) is True
    with pytest.raises(ConditionError, match="nested"):
        Condition(text % nested(3))


def test_the_literal_names_a_condition_uses_are_known() -> None:
    condition = Condition(
        "steps[\"a b\"].exit_code == 0 && steps['c\\'d'].state == 'steps.no' && has(steps.e.outputs.x)"
        " && steps.exists(s, s == 'a') && parameters.p == variables.steps && parameters['q'] == 'x'"
        " && steps[parameters.r].state == 'failed'"
    )

    assert condition.steps == ("a b", "c'd", "e")
    assert condition.parameters == ("p", "q", "r")


def test_random_text_is_refused_or_answered_but_never_breaks() -> None:
    source = random.Random(11)
    pieces = [
        "steps",
        ".",
        "[",
        "]",
        '"a"',
        "(",
        ")",
        "target",
        "name",
        "&&",
        "||",
        "==",
        "1",
        "!",
        "?",
        ":",
        "has",
        "in",
        "exists",
        "x",
        ",",
        "{",
        "}",
        "'",
        "-",
        "+",
        "matches",
        "0u",
        "1.5",
        "b'x'",
        'r"\\d"',
        "%",
        "\n",
    ]
    for _ in range(5_000):
        text = "".join(source.choices(pieces, k=source.randint(1, 14)))
        try:
            Condition(text).evaluate(CONTEXT)
        except ConditionError:
            continue
