"""Words for machines against an inventory: a query, or a question, never a guess."""

import pytest

from aiworkflows.inventory import Inventory
from aiworkflows.planners.naming import Names, Resolved, key, term
from aiworkflows.planners.reading import read
from automation.definitions.query import parse

INVENTORY = Inventory(
    groups=("web servers", "db-servers", "Cache_Hosts", "mail"),
    tags=("edge", "batch"),
    targets=("web-1", "web-2", "db-1.example.org"),
    environments=("prod", "staging", "test"),
    platforms=("linux", "windows"),
)


def resolve(request: str, inventory: Inventory = INVENTORY) -> Resolved:
    names = Names(inventory)
    places = [names.settle(phrase)[0] for phrase in read(request).phrases]
    return names.resolve([place for place in places if place])


@pytest.mark.parametrize(
    "name", ["web servers", "web-servers", "Web_Servers", "web", "WEB", "web hosts", "web boxes"]
)
@pytest.mark.parametrize(
    "said", ["web servers", "the web servers", "web hosts", "web boxes", "Web-Servers", "web"]
)
def test_a_group_is_found_however_it_is_written(name: str, said: str) -> None:
    resolved = resolve(f"update nginx on {said}", Inventory(groups=(name, "db")))
    assert resolved.query == term("group", name)


@pytest.mark.parametrize(
    ("request_text", "query"),
    [
        ("update nginx on web servers", 'group:"web servers"'),
        ("update nginx on the db boxes", "group:db-servers"),
        ("restart redis on cache", "group:Cache_Hosts"),
        ("restart nginx on edge hosts", "tag:edge"),
        ("restart nginx on web-1", "name:web-1"),
        ("restart nginx on db-1.example.org.", "name:db-1.example.org"),
        ("restart nginx on all servers", "all"),
        ("restart nginx on every server", "all"),
        ("restart nginx everywhere", "all"),
        ("restart nginx everywhere in staging", "env:staging"),
        ("restart nginx on all web servers", 'group:"web servers"'),
        ("restart nginx on the staging web servers", 'env:staging group:"web servers"'),
        ("restart nginx on web servers in production", 'group:"web servers" env:prod'),
        ("restart nginx on all linux servers in prod", "os:linux env:prod"),
        ("restart nginx on web servers except web-2", 'group:"web servers" -name:web-2'),
        ("restart nginx on all servers but not in prod", "all -env:prod"),
        ("patch the web servers", 'group:"web servers"'),
        ("status of nginx for the mail hosts", "group:mail"),
    ],
)
def test_what_is_known_becomes_a_query_that_the_language_reads(request_text: str, query: str) -> None:
    assert resolve(request_text) == Resolved(query=query)
    parse(query)


@pytest.mark.parametrize(
    ("request_text", "missing", "near"),
    [
        ("update nginx on frontend servers", "frontend", None),
        ("update nginx on wbe servers", "wbe", 'group:"web servers"'),
        ("update nginx on the datenbank boxes", "datenbank", None),
        ("restart nginx on web-3", "web-3", "name:web-1"),
        ("restart nginx on the old web servers", "old", None),
        ("restart nginx on half of the web servers", "half", None),
        ("restart nginx on web servers except web-9", "web-9", "name:web-1"),
        ("update nginx on web servers and frontend", "frontend", None),
    ],
)
def test_what_is_unknown_is_a_question_with_near_names(
    request_text: str, missing: str, near: str | None
) -> None:
    resolved = resolve(request_text)
    assert resolved.query == ""
    assert resolved.question is not None
    assert resolved.question.slot == "targets"
    assert f'"{missing}"' in resolved.question.text
    assert resolved.question.choices
    assert near is None or near in resolved.question.choices
    for choice in resolved.question.choices:
        parse(choice)


@pytest.mark.parametrize(
    ("inventory", "choices"),
    [
        (Inventory(groups=("web", "web-servers")), {"group:web", "group:web-servers"}),
        (Inventory(groups=("web",), targets=("web",)), {"group:web", "name:web"}),
        (Inventory(tags=("web", "Web")), {"tag:web", "tag:Web"}),
    ],
)
def test_two_matches_are_a_question(inventory: Inventory, choices: set[str]) -> None:
    question = resolve("update nginx on web", inventory).question
    assert question is not None
    assert set(question.choices) == choices


def test_a_group_is_looked_for_before_a_tag() -> None:
    assert resolve("update nginx on web", Inventory(groups=("web",), tags=("web",))).query == "group:web"


def test_two_groups_at_once_are_a_question_as_one_query_cannot_say_or() -> None:
    question = resolve("update nginx on web servers and mail hosts").question
    assert question is not None
    assert question.choices == ('group:"web servers"', "group:mail")


def test_no_word_about_machines_is_a_question_and_never_all() -> None:
    question = resolve("update nginx").question
    assert question is not None
    assert "all" not in question.choices


@pytest.mark.parametrize("name", ['say "hi"', "back\\slash", "a(b)", "über uns", "or", "x*"])
def test_a_strange_name_is_quoted_so_that_the_language_reads_just_that_name(name: str) -> None:
    [found] = parse(term("group", name)).terms
    assert (found.field, found.value) == ("group", name)
    assert not found.has_wildcard


def test_keys_ignore_case_hyphens_underscores_and_the_word_for_machines() -> None:
    assert {key("Web-Servers"), key("web_server"), key(" WEB  boxes "), key("web machine")} == {"web"}
    assert key("servers") == "servers"
