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
    facts: Mapping[str, object] = field(
        default_factory=lambda: {
            "os.id": "debian",
            "os.version": "12.10",
            "kernel": "6.1.0-18-amd64",
            "memory.mb": 3920,
            "reboot.needed": False,
        }
    )
    flags: tuple[str, ...] = ("enabled", "maintenance")


WEB: Candidate = Machine()

MATCHING = [
    *('group:"web servers"', 'GROUP:"Web Servers"', "group:web*", "group:web?servers", "group:everything"),
    *("os:linux", "platform:LINUX", "os:l*", "env:prod", "environment:Prod", "tag:web", "tag:web tag:blue"),
    *("web-1", '"web-1"', "WEB-1", "web*", "*1", "w?b-?", "name:web-1", "name:*", "all", "ALL", "*"),
    *("all -name:db*", "-name:db-3 os:linux", 'all -"web *"', "-tag:red all", "all -zone:*"),
    *("var:port=80", "var:tls=true", "var:roles=b", "var:port=8*", "all -var:port=81", "all -var:none=*"),
    'group:"web servers" os:linux env:prod tag:web name:web* -name:db-3',
    *("web-1 or db-1", "db-1 OR web-1", "env:dev or env:prod tag:web", "(env:dev or env:prod) tag:web"),
    *("env:prod and tag:web", "env:prod and (tag:red or (tag:blue and web*))", "all not tag:red"),
    *(
        "all -(tag:red or tag:green)",
        "all -(tag:red web-1)",
        "env:prod not (env:dev or tag:red)",
        "not not all",
    ),
    *(
        "-(-web-1)",
        "-(-web-1 or -env:prod)",
        "fact:os.id=debian",
        "fact:OS.Version=12.*",
        "fact:kernel>=5.10",
    ),
    *("fact:os.version>=12.9", "fact:os.version<13", "fact:memory.mb>3919", "fact:memory.mb<=3920.0"),
    *("fact:reboot.needed=false", "fact:os.id=*", "var:port>79", "var:port>=80", "var:port<1e3"),
    *(
        "is:enabled",
        "is:maintenance",
        "all -is:disabled",
        "is:*",
        '("web-1")',
        "( web-1 )",
        'group:"or" or all',
    ),
]
NOT_MATCHING = [
    *("group:web", "group:servers", 'group:"web*"', "os:windows", "env:dev", "tag:red", "tag:web tag:red"),
    *("web", "web-", "-web-1 all", "name:web-?-?", '"web*"', "zone:a", "zone:*", "all -all", "var:port=81"),
    *("var:none=*", "all -tag:blue", "group:everything -os:linux"),
    *(
        "db-1 or db-2",
        "env:dev or env:prod tag:red",
        "(env:dev or env:prod) tag:red",
        "all -(tag:red or web-1)",
    ),
    *(
        "all -(tag:web web-1)",
        "all not web-1",
        "env:prod and tag:red",
        "fact:os.version>12.10",
        "is:disabled",
    ),
    *("fact:os.version<12.9", "fact:none=*", "fact:reboot.needed=true", "fact:memory.mb>1e4", "var:port<80"),
    *("fact:none<5", 'fact:os.version="12.*"', "web-1 (tag:red or -tag:web)", '"or"'),
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
    "foo:x": (1, "no field 'foo'; fields are name, group, os, env, tag, zone, var, fact, is"),
    "-envv:x all": (2, "no field 'envv'; did you mean env:?"),
    "os:linx": (4, "no platform 'linx'; did you mean 'linux'?"),
    "env: prod": (5, "env: needs a value"),
    'group:""': (7, "the quotes are empty"),
    'group:"web': (7, "this quote is never closed"),
    'group:"web"x': (12, "a space is missing after the quote"),
    'group:web"x"': (10, "a quote must stand at the beginning of a value"),
    "web or": (7, "a term is missing here"),
    "or web": (1, "a term is missing before 'or'; a target of that name is written in quotes"),
    "web and or db": (9, "a term is missing before 'or'; a target of that name is written in quotes"),
    "web not": (8, "a term is missing here"),
    "web -or": (6, "a minus before 'or' means nothing"),
    "web -(db": (6, "this parenthesis is never closed"),
    "web) db": (4, "this parenthesis closes nothing"),
    "web ()": (6, "the parentheses are empty"),
    "(web)db": (6, "a space is missing after the parenthesis"),
    "web(db)": (4, "'(' is not part of the language; put the value in quotes"),
    "(" * 21 + "a": (21, "parentheses are nested more than 20 deep"),
    "web or -db": (8, "there are only exclusions; write all in front to mean every other target"),
    "-web or -db": (1, "there are only exclusions; write all in front to mean every other target"),
    "-(web db)": (1, "there are only exclusions; write all in front to mean every other target"),
    "fact:reboot.needed": (6, "a fact is written fact:name=value"),
    "fact:os..x=1": (6, "'os..x' is not the name of a fact, like os.version"),
    "fact:os.version>=12*": (18, ">= takes no wildcards"),
    "is:enabeld": (4, "no flag 'enabeld'; did you mean 'enabled'?"),
    "env:prod,dev": (9, "',' is not part of the language; put the value in quotes"),
    "- web": (2, "a word is missing here"),
    "--web": None,
    ":x": (1, "no field ''; fields are name, group, os, env, tag, zone, var, fact, is"),
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


def test_a_mistake_points_into_the_query() -> None:
    with pytest.raises(QueryError) as near:
        parse("env:prod\tgrup:web")
    with pytest.raises(QueryError) as far:
        parse("name:a " * 30 + "grup:web")

    assert near.value.caret == "env:prod grup:web\n         ^"
    shown, below = far.value.caret.split("\n")
    assert shown.startswith("…") and shown[below.index("^") :] == "grup:web"


def test_the_parts_that_let_a_target_in_are_told() -> None:
    query = parse("(tag:blue or tag:red or web*) -(env:dev or env:test)")

    assert [part.to_text() for part in query.reasons(WEB)] == [
        "tag:blue",
        "name:web*",
        "-(env:dev or env:test)",
    ]


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


def test_what_holds_terms_together_has_one_spelling() -> None:
    text = "a and ((b) or (c or d e)) NOT (f (g h)) or -(-i)"

    spelled = parse(text).to_text()

    assert spelled == "name:a (name:b or name:c or name:d name:e) -(name:f name:g name:h) or name:i"
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
        ")",
        " or ",
        " and ",
        "not ",
        "fact",
        ">=",
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
