import time

import pytest

from automation.definitions.errors import DefinitionError, ParameterError
from automation.definitions.parameters import check_parameters, check_variables
from automation.definitions.schema import load_workflow
from tests.definitions.samples import UPDATE_PACKAGE, with_parameters

ALL_TYPES = """\
  text: {type: string, max: 10}
  count: {type: integer, min: 1, max: 10, default: 3}
  force: {type: boolean, default: false}
  mode: {type: enum, choices: [fast, slow], default: fast}
  units: {type: list, pattern: "[a-z@.]+", required: false, max: 3}"""


def errors_of(declarations: str, given: dict[str, object]) -> dict[str, str]:
    with pytest.raises(ParameterError) as caught:
        check_parameters(with_parameters(declarations), given)
    return {each["path"]: each["message"] for each in caught.value.errors}


def test_values_are_typed_and_defaults_filled_in() -> None:
    workflow = with_parameters(ALL_TYPES)

    assert check_parameters(workflow, {"text": "a"}) == {
        "text": "a",
        "count": 3,
        "force": False,
        "mode": "fast",
        "units": None,
    }
    assert check_parameters(
        workflow, {"text": "b", "count": "7", "force": "TRUE", "mode": "slow", "units": ["a"]}
    ) == {
        "text": "b",
        "count": 7,
        "force": True,
        "mode": "slow",
        "units": ["a"],
    }


def test_an_empty_optional_value_counts_as_not_given() -> None:
    assert (
        check_parameters(load_workflow(UPDATE_PACKAGE), {"package": "nginx", "service": ""})["service"]
        is None
    )


def test_all_errors_are_collected_with_paths_and_the_nearest_name() -> None:
    given = {"txt": "a", "count": 11, "force": "maybe", "mode": "slwo", "units": ["A"]}

    assert errors_of(ALL_TYPES, given) == {
        "parameters.txt": "is not declared; did you mean 'text'?",
        "parameters.text": "is required",
        "parameters.count": "must be at most 10",
        "parameters.force": "must be true or false",
        "parameters.mode": "must be one of fast, slow",
        "parameters.units": "must match [a-z@.]+",
    }


REFUSED_VALUES: list[tuple[str, object, str]] = [
    ("type: string", 5, "must be text; put it in quotes"),
    ("type: string", "", "must not be empty"),
    ("type: string", None, "is required"),
    ("type: string", "a\0b", "must not contain a NUL character"),
    ("type: string", "\udc80", "must be valid Unicode (it holds half of a surrogate pair)"),
    ("type: string", "x" * 262_145, "must have at most 256 KiB"),
    ("type: string, min: 2", "a", "must have at least 2 characters"),
    ("type: string, pattern: 'a|b'", "ab", "must match a|b"),
    ("type: string, pattern: '^[a-z]+$'", "abc\n", "must match ^[a-z]+$"),
    (
        "type: string, pattern: '.*'",
        "x" * 4097,
        "must have at most 4096 characters, because it has a pattern",
    ),
    ("type: integer", True, "must be a whole number"),
    ("type: integer", 1.5, "must be a whole number"),
    ("type: integer", "1e3", "must be a whole number"),
    ("type: integer", 2**63, "must fit into 64 bits"),
    ("type: boolean", 1, "must be true or false"),
    ("type: list", "a", "must be a list of texts"),
    ("type: list", [], "must not be empty"),
    ("type: list", ["a", 1], "must hold texts of one line each, none of them empty"),
    ("type: list", ["a\nb"], "must hold texts of one line each, none of them empty"),
    ("type: list", ["x"] * 1001, "must have at most 1000 items"),
]


@pytest.mark.parametrize(("declaration", "value", "message"), REFUSED_VALUES)
def test_a_value_that_does_not_fit_is_refused(declaration: str, value: object, message: str) -> None:
    assert errors_of(f"  it: {{{declaration}}}", {"it": value}) == {"parameters.it": message}


def test_an_error_never_quotes_the_value() -> None:
    given = {"package": "PASSWORD hunter2", "service": "hunter2\0"}

    with pytest.raises(ParameterError) as caught:
        check_parameters(load_workflow(UPDATE_PACKAGE), given)

    assert "hunter2" not in str(caught.value) + repr(caught.value.errors)


DECLARATION_ERRORS = {
    "{type: enum}": "choices belong to type enum, and enum needs choices",
    "{choices: [a]}": "choices belong to type enum, and enum needs choices",
    "{type: enum, choices: [a, a]}": "a choice stands here twice",
    "{type: integer, pattern: a}": "pattern belongs to the types string, list and secret",
    "{type: boolean, min: 1}": "min and max belong to the types integer, string, list and secret",
    "{type: integer, min: 2, max: 1}": "min is greater than max",
    "{type: integer, default: 5, max: 4}": "the default must be at most 4",
    '{type: integer, default: "5"}': "the default must be of type integer",
    "{default: 5}": "the default must be text; put it in quotes",
    "{pattern: a, default: b}": "the default must match a",
}


@pytest.mark.parametrize("declaration", DECLARATION_ERRORS)
def test_a_declaration_that_contradicts_itself_is_refused(declaration: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        with_parameters(f"  it: {declaration}")

    assert caught.value.errors == [
        {"line": 2, "path": "parameters.it", "message": DECLARATION_ERRORS[declaration]}
    ]


@pytest.mark.parametrize(
    "pattern", ["(a", "a)|(b", "(?x)a #", "(?=a)b", r"(a)\1", "((a{40}){40}){40}", "a" * 201]
)
def test_a_pattern_that_cannot_be_matched_in_linear_time_is_refused(pattern: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        with_parameters(f"  it: {{pattern: '{pattern}'}}")

    assert caught.value.errors[0]["path"] == "parameters.it.pattern"


@pytest.mark.parametrize("pattern", ["(a+)+", "(a|aa)*", "(a|a)*b", "(.*a){12}", "([a-z]{1,30}){1,30}!"])
def test_no_pattern_takes_long(pattern: str) -> None:
    started = time.process_time()

    errors_of(f"  it: {{pattern: '{pattern}'}}", {"it": "a" * 4000 + "?"})

    assert time.process_time() - started < 5


def test_variables_follow_the_rule_of_parameters() -> None:
    assert check_variables({"a": 1, "b": True, "c": "", "d": ["x"]}) == {
        "a": 1,
        "b": True,
        "c": "",
        "d": ["x"],
    }
    with pytest.raises(ParameterError) as caught:
        check_variables({"PATH": "x", "good": {"a": 1}, "also_good": "\0"})
    assert [each["path"] for each in caught.value.errors] == [
        "variables.PATH",
        "variables.good",
        "variables.also_good",
    ]
