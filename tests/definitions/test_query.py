import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from automation.definitions.errors import QueryError
from automation.definitions.query import Candidate, parse


@dataclass(frozen=True)
class Machine:
    name: str = "web-1"
    groups: tuple[str, ...] = ("web servers", "everything")
    tags: tuple[str, ...] = ("web", "blue")
    environment: str | None = "prod"
    platform: str | None = "linux"
    zone: str | None = None
    variables: Mapping[str, object] = field(
        default_factory=lambda: {"port": 80, "tls": True, "roles": ["a", "b"]}
    )
    facts: Mapping[str, object] = field(default_factory=dict)


WEB: Candidate = Machine()

MATCHING = [
    *('group:"web servers"', 'GROUP:"Web Servers"', "group:web*", "group:web?servers", "group:everything"),
    *("os:linux", "platform:LINUX", "os:l*", "env:prod", "environment:Prod", "tag:web", "tag:web tag:blue"),
    *("web-1", '"web-1"', "WEB-1", "web*", "*1", "w?b-?", "name:web-1", "name:*", "all", "ALL", "*"),
    *("all -name:db*", "-name:db-3 os:linux", 'all -"web *"', "-tag:red all", "all -zone:*"),
    *("var:port=80", "var:tls=true", "var:roles=b", "var:port=8*", "all -var:port=81", "all -var:none=*"),
    'group:"web servers" os:linux env:prod tag:web name:web* -name:db-3',
]
NOT_MATCHING = [
    *("group:web", "group:servers", 'group:"web*"', "os:windows", "env:dev", "tag:red", "tag:web tag:red"),
    *("web", "web-", "-web-1 all", "name:web-?-?", '"web*"', "zone:a", "zone:*", "all -all", "var:port=81"),
    *("var:none=*", "all -tag:blue", "group:everything -os:linux"),
]


@pytest.mark.parametrize("text", MATCHING)
def test_a_query_finds_what_it_describes(text: str) -> None:
    assert parse(text).matches(WEB)


@pytest.mark.parametrize("text", NOT_MATCHING)
def test_a_query_leaves_out_everything_else(text: str) -> None:
    assert not parse(text).matches(WEB)


ERRORS = {
    "": (1, "the query is empty; write all to mean every target"),
    "  \t\n": (1, "the query is empty; write all to mean every target"),
    "-name:db-3": (1, "there are only exclusions; write all in front to mean every other target"),
    "env:prod grup:web": (10, "no field 'grup'; did you mean group:?"),
    "foo:x": (1, "no field 'foo'; fields are name, group, os, env, tag, zone, var"),
    "-envv:x all": (2, "no field 'envv'; did you mean env:?"),
    "os:linx": (4, "no platform 'linx'; did you mean 'linux'?"),
    "env: prod": (5, "env: needs a value"),
    'group:""': (7, "the quotes are empty"),
    'group:"web': (7, "this quote is never closed"),
    'group:"web"x': (12, "a space is missing after the quote"),
    'group:web"x"': (10, "a quote must stand at the beginning of a value"),
    "web or db": (5, "'or' is not part of the language; terms must all hold, and - negates one"),
    "(web)": (1, "'(' is not part of the language; put the value in quotes"),
    "env:prod,dev": (9, "',' is not part of the language; put the value in quotes"),
    "- web": (2, "a word is missing here"),
    "--web": None,
    ":x": (1, "no field ''; fields are name, group, os, env, tag, zone, var"),
    "var:port": (5, "a variable is written var:name=value"),
    "var:Port=1": (5, "'Port' is not the name of a variable"),
    "var:port=": (10, "var: needs a value"),
    "x" * 2001: (2001, "a query has at most 2000 characters"),
    "a " * 101: (201, "a query has at most 100 terms"),
}


@pytest.mark.parametrize("text", [text for text, expected in ERRORS.items() if expected])
def test_a_mistake_is_shown_with_its_column(text: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text)

    assert (caught.value.column, caught.value.message) == ERRORS[text]


def test_an_empty_group_list_never_matches_and_negation_of_it_does() -> None:
    lonely = Machine(groups=(), tags=(), environment=None, platform=None, variables={})

    assert not parse("group:*").matches(lonely)
    assert parse("all -group:*").matches(lonely)


def test_the_groups_a_query_names_are_told_once_and_without_patterns() -> None:
    query = parse('group:"Web Servers" -group:old group:"web servers" group:db* tag:x')

    assert {name.casefold() for name in query.names_groups()} == {"web servers", "old"}


def test_a_query_has_one_spelling_that_reads_back_equal() -> None:
    text = ' web*  platform:Linux -"odd *name" group:"a\\"b\\\\c" var:port=8? ALL tag:"plain"'

    spelled = parse(text).to_text()

    assert spelled == 'name:web* os:Linux -name:"odd *name" group:"a\\"b\\\\c" var:port=8? all tag:plain'
    assert parse(spelled) == parse(text)


def test_random_text_is_read_back_equal_or_refused() -> None:
    source = random.Random(7)
    alphabet = [
        '"',
        "\\",
        "-",
        ":",
        "*",
        "?",
        " ",
        "a",
        "name",
        "group",
        "var",
        "=",
        "(",
        "é",
        "\u2003",
        "all",
        "'",
    ]
    read = 0
    columns = []
    for _ in range(20_000):
        text = "".join(source.choices(alphabet, k=source.randint(0, 12)))
        try:
            query = parse(text)
        except QueryError as error:
            columns.append((error.column, len(text)))
            continue
        read += 1
        assert parse(query.to_text()) == query
        query.matches(WEB)
    assert read > 1000
    assert all(1 <= column <= length + 1 for column, length in columns)


def test_many_wildcards_stay_quick() -> None:
    query = parse("name:" + "*a" * 900 + "*b")
    started = time.process_time()

    assert not query.matches(Machine(name="a" * 5000))
    assert time.process_time() - started < 5
