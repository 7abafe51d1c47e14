import time

import pytest

from automation.definitions.errors import DefinitionError
from automation.definitions.loading import MAX_TEXT_BYTES, read_document
from automation.definitions.schema import load_workflow
from tests.definitions.samples import SMALL


def message_of(text: str) -> tuple[int | None, str]:
    with pytest.raises(DefinitionError) as caught:
        read_document(text, origin="test")
    return caught.value.errors[0]["line"], caught.value.errors[0]["message"]


REFUSED = {
    "a: 1\nb: 2\na: 3\n": (3, "the key 'a' stands here twice"),
    '{\n"a": 1,\n"a": 2}': (3, "the key 'a' stands here twice"),
    "a: !!python/object/apply:os.system ['true']\n": (
        1,
        "the tag tag:yaml.org,2002:python/object/apply:os.system is not supported",
    ),
    "a: !!python/name:os.system x\n": (1, "the tag tag:yaml.org,2002:python/name:os.system is not supported"),
    "a: !secret x\n": (1, "the tag !secret is not supported"),
    "a: !!binary aGk=\n": (1, "the tag tag:yaml.org,2002:binary is not supported"),
    "a: !!int x\n": (1, "cannot be read as the tag tag:yaml.org,2002:int says"),
    "a: !!bool yes\n": (1, "the tag tag:yaml.org,2002:bool is not supported"),
    "a: 1\n5: x\n": (2, "keys must be text; put this one in quotes"),
    "a: 1\n? [x]\n: y\n": (2, "keys must be text; put this one in quotes"),
    "": (1, "the definition is empty"),
    "# only a comment\n": (1, "the definition is empty"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_plain_data_is_refused_with_its_line(text: str) -> None:
    assert message_of(text) == REFUSED[text]


@pytest.mark.parametrize(
    "text", ["a: [1\nb: 2", "a: 'x", "a: b: c", "a:\n\t- 1", "--- a\n--- b", "a: \x01", "*x"]
)
def test_broken_yaml_is_an_error_that_says_so(text: str) -> None:
    assert "YAML" in message_of(text)[1]


def test_only_the_scalars_of_json_have_types() -> None:
    text = "[yes, off, 1:30, 2020-01-01, 007, 1_000, 0x10, .5, True, 1, -2, 1.5, true, null, ~, '1']"

    assert read_document(text, origin="test").data == [
        *("yes", "off", "1:30", "2020-01-01", "007", "1_000", "0x10", ".5", "True"),
        *(1, -2, 1.5, True, None, None, "1"),
    ]


def test_merge_keys_are_ordinary_keys() -> None:
    with pytest.raises(DefinitionError, match=r"steps\[1\]\.<<: unknown key"):
        load_workflow(SMALL + "  - {<<: {become: true}, name: b, run: {bash: x}}\n")


def test_a_few_aliases_are_plain_repetition() -> None:
    document = read_document("a: &x [1, 2]\nb: *x\n", origin="test")

    assert document.data == {"a": [1, 2], "b": [1, 2]}


BOMBS = {
    "aliases that multiply": "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)),
    "an alias of itself": "a: &a [*a]\n",
    "many aliases": "a: &a 1\nb: [" + "*a, " * 1000 + "]\n",
    "deep flow lists": "[" * 100_000,
    "deep flow maps": "{a: " * 10_000,
    "deep block lists": "- " * 10_000,
    "deep json": '{"a": ' * 50_000 + "1" + "}" * 50_000,
    "many values": "- a\n" * 500_000,
    "many keys of json": "{" + ",".join(f'"k{n}": 1' for n in range(100_000)) + "}",
    "too long": "a" * (MAX_TEXT_BYTES + 1),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_text_that_wants_to_be_large_is_refused_soon(bomb: str) -> None:
    started = time.process_time()

    message_of(BOMBS[bomb])

    # Generous: unlimited, the first one alone would take minutes and gigabytes.
    assert time.process_time() - started < 20


def test_every_value_knows_its_line() -> None:
    document = read_document("a: 1\nb:\n  - x\n  - c: 2\n    d: 3\n", origin="test")

    assert document.line_of(("b", 1, "d")) == 5
    assert document.line_of(("b", 0)) == 3
    assert document.line_of(("b", 1, "d", "missing", "deeper")) == 5
