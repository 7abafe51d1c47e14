"""Nested groups, groups with queries, and variables with their origin."""

from __future__ import annotations

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from automation.belonging import CircleError, GroupTree, candidates
from automation.choose import matching
from automation.definitions.query import parse
from automation.models import Group, Target
from tests.inventory.conftest import group, target

pytestmark = pytest.mark.django_db


def names(query: str) -> list[str]:
    return [each.name for each in matching(parse(query), Target.objects.with_plan_parts())]


def test_a_target_is_in_all_groups_above_its_own() -> None:
    group("world")
    group("eu", "world")
    group("zurich", "eu")
    target("web1", "zurich")
    target("web2", "world")
    assert names("group:world") == ["web1", "web2"]
    assert names("group:eu") == ["web1"]
    [found, _] = candidates(Target.objects.all())
    assert found.memberships() == [("eu", "through zurich"), ("world", "through zurich"), ("zurich", "")]


def test_a_group_takes_in_what_its_query_names_also_through_other_groups() -> None:
    group("prod", query="env:prod")
    group("web")
    group("front", query="group:prod group:web -tag:old")
    target("web1", "web", environment="prod")
    target("web2", "web", environment="prod", tags=["old"])
    target("db1", environment="prod")
    assert names("group:prod") == ["db1", "web1", "web2"]
    assert names("group:front") == ["web1"]
    [found] = candidates(Target.objects.filter(name="web1"))
    assert found.why_in("front") == "by its query group:prod group:web -tag:old"


def test_a_group_query_sees_facts_and_the_variables_that_groups_set() -> None:
    group("databases", variables={"role": "db"})
    group("backed-up", query="var:role=db fact:os.version>=12")
    target("db1", "databases", facts={"os.version": "12.5"})
    target("db2", "databases", facts={"os.version": "11"})
    assert names("group:backed-up") == ["db1"]


def test_the_nearest_variable_holds_and_all_sources_are_told() -> None:
    group("all-of-us", variables={"port": 80, "zone": "x"})
    group("web", "all-of-us", variables={"port": 8080})
    group("alpha", variables={"port": 1})
    made = target("web1", "web", "alpha", variables={"port": 9090})
    [found] = candidates([made])
    sources = [(each.value, each.group and each.group.name) for each in found.variable_sources()["port"]]
    assert sources == [(80, "all-of-us"), (1, "alpha"), (8080, "web"), (9090, None)]
    assert found.variables == {"port": 9090, "zone": "x"}


@pytest.mark.parametrize("query", ["group:b", "all -group:b", "group:*", "var:x=1", "group:a"])
def test_a_group_that_would_depend_on_itself_is_refused(query: str) -> None:
    group("a", variables={"x": 1})
    group("b", "a", query="env:prod")
    Group.objects.filter(name="a").update(query=query)
    Group.objects.filter(name="b").update(query="group:a" if query != "group:a" else "group:b")
    with pytest.raises(CircleError, match="circle"):
        GroupTree.load()


def test_the_api_refuses_a_circle_and_keeps_what_was(clients: dict[str, APIClient]) -> None:
    admin = clients["admin"]
    outer = admin.post("/api/v1/groups/", {"name": "outer"}).json()
    admin.post("/api/v1/groups/", {"name": "inner", "parents": ["outer"]})
    refused = admin.patch(f"/api/v1/groups/{outer['id']}/", {"parents": ["inner"]})
    assert (refused.status_code, refused.json()["code"]) == (400, "groups.circle")
    assert "outer" in refused.json()["detail"]
    assert not Group.objects.get(name="outer").parents.exists()
    wrong = admin.patch(f"/api/v1/groups/{outer['id']}/", {"query": "env:prod grup:x"})
    assert "column 10" in wrong.json()["errors"][0]["message"]


def test_the_api_tells_groups_and_variables_with_their_origin(clients: dict[str, APIClient]) -> None:
    group("eu", variables={"ntp": "a", "port": 1})
    group("zurich", "eu", variables={"ntp": "b"})
    made = target("web1", "zurich", variables={"port": 2})
    told = clients["viewer"].get(f"/api/v1/targets/{made.pk}/").json()
    assert told["member_of"] == [
        {"group": "eu", "because": "through zurich"},
        {"group": "zurich", "because": ""},
    ]
    assert told["effective_variables"] == {
        "ntp": {"value": "b", "from": "zurich", "over": [{"value": "a", "from": "eu"}]},
        "port": {"value": 2, "from": None, "over": [{"value": 1, "from": "eu"}]},
    }
    rows = clients["viewer"].get("/api/v1/groups/").json()["results"]
    assert [(row["name"], row["children"], row["parents"], row["targets"]) for row in rows] == [
        ("eu", ["zurich"], [], 1),
        ("zurich", [], ["eu"], 1),
    ]


def test_lists_cost_the_same_however_many_groups_there_are(
    clients: dict[str, APIClient], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for n in range(20):
        group(f"g{n}", *([f"g{n - 1}"] if n else []), query=f"name:t{n}" if n % 2 else "")
    for n in range(20):
        target(f"t{n}", f"g{n}")
    with django_assert_max_num_queries(12):
        assert len(clients["viewer"].get("/api/v1/targets/").json()["results"]) == 20
    with django_assert_max_num_queries(12):
        assert clients["viewer"].get("/api/v1/groups/").json()["results"][0]["targets"] == 20


def test_filters_choose_beside_the_query(clients: dict[str, APIClient]) -> None:
    group("web")
    target("web1", "web", environment="prod")
    target("web2", "web", environment="prod", enabled=False)
    target("db1", environment="prod")

    def found(**asked: str) -> list[str]:
        answer = clients["viewer"].get("/api/v1/targets/", asked)
        assert answer.status_code == 200, answer.content
        return [each["name"] for each in answer.json()["results"]]

    assert found(group="web", flag="enabled") == ["web1"]
    assert found(q="name:db* or name:web2", environment="prod", flag="enabled") == ["db1"]
    assert found(platform="windows") == []
    assert clients["viewer"].get("/api/v1/targets/", {"flag": "sleepy"}).status_code == 400
