"""Targets and groups by API."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from automation.models import Group, Target
from credentials.models import Credential
from credentials.secret import Secret
from tests.api.conftest import bearer, token_text

URL = "/api/v1/targets/"


@pytest.fixture
def admin(clients: dict[str, APIClient]) -> APIClient:
    return clients["admin"]


def test_a_target_is_made_changed_in_part_and_deleted(admin: APIClient) -> None:
    Group.objects.create(name="web")
    made = admin.post(
        URL, {"name": "web1", "address": "10.0.0.1", "groups": ["web"], "tags": ["b", "a", "a"]}
    )
    assert made.status_code == 201, made.content
    here = f"{URL}{made.json()['id']}/"
    changed = admin.patch(here, {"environment": "prod", "variables": {"package": "nginx"}}).json()
    assert (changed["groups"], changed["tags"], changed["environment"]) == (["web"], ["a", "b"], "prod")
    assert changed["variables"] == {"package": "nginx"}
    assert admin.delete(here).status_code == 204
    assert not Target.objects.exists()


def test_a_query_chooses_targets(
    admin: APIClient, web: list[Target], make_target: Callable[..., Target]
) -> None:
    make_target("db1", environment="prod")
    found = admin.get(URL, {"q": "env:prod -name:web2"}).json()["results"]
    assert [target["name"] for target in found] == ["db1", "web1", "web3"]


def test_a_wrong_query_is_answered_with_its_column(admin: APIClient) -> None:
    answer = admin.get(URL, {"q": "env:prod grup:web"})
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["code"] == "query.invalid"
    assert problem["errors"][0]["column"] == 10


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "w", "address": "10.0.0.1", "prot": 22}, "prot"),
        ({"name": "w", "address": "10.0.0.1", "port": "22"}, "port"),
        ({"name": "w", "address": "10.0.0.1", "port": 70000}, "port"),
        ({"name": "-w", "address": "10.0.0.1"}, "name"),
        ({"name": 5, "address": "10.0.0.1"}, "name"),
        ({"name": "w", "address": "-oProxyCommand=x"}, "address"),
        ({"name": "w", "address": "a b"}, "address"),
        ({"name": "w", "address": "0177.0.0.1"}, "address"),
        ({"name": "w", "address": "2130706433"}, "address"),
        ({"name": "w", "address": "169.254.169.254"}, "address"),
        ({"name": "w", "address": "0.0.0.0"}, "address"),
        ({"name": "w", "address": "::ffff:127.0.0.1"}, "address"),
        ({"name": "w", "address": "10.0.0.1", "platform": "bsd"}, "platform"),
        ({"name": "w", "address": "10.0.0.1", "transport": "winrm"}, "transport"),
        ({"name": "w", "address": "10.0.0.1", "groups": ["wbe"]}, "groups"),
        ({"name": "w", "address": "10.0.0.1", "variables": {"PATH": "/x"}}, "variables"),
        ({"name": "w", "address": "10.0.0.1", "enabled": "yes"}, "enabled"),
        ({"name": "w", "address": "10.0.0.1", "id": 7}, "id"),
        ({"name": "w"}, "address"),
    ],
)
def test_what_is_wrong_with_a_target_is_named(admin: APIClient, body: dict[str, object], field: str) -> None:
    answer = admin.post(URL, body)
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"].split(".")[0] == field
    assert not Target.objects.exists()


def test_an_unknown_key_is_told_its_nearest(admin: APIClient) -> None:
    answer = admin.post(URL, {"name": "w", "adress": "10.0.0.1"})
    assert "did you mean 'address'" in answer.json()["detail"]


def test_names_differ_by_more_than_case(admin: APIClient, web: list[Target]) -> None:
    answer = admin.post(URL, {"name": "WEB1", "address": "10.0.0.1"})
    assert answer.status_code == 400
    assert "There is a target of this name" in answer.json()["detail"]


def test_a_target_in_a_live_run_stays(
    admin: APIClient, submit_as: Callable[..., object], web: list[Target]
) -> None:
    Target.objects.update(environment="")
    submit_as(admin)
    answer = admin.delete(f"{URL}{web[0].pk}/")
    assert (answer.status_code, answer.json()["code"]) == (409, "target.in_use")


def test_a_login_is_tied_to_an_address_only_by_who_may_write_credentials(
    people: dict[str, object], web: list[Target]
) -> None:
    credential = Credential(name="ops", kind="password", username="ops")
    credential.set_secrets(password=Secret("hunter2hunter2"))
    narrow = bearer(token_text(people["admin"], scopes=["inventory:write", "inventory:read"]))  # type: ignore[arg-type]
    here = f"{URL}{web[0].pk}/"
    assert narrow.patch(here, {"credential": credential.pk}).status_code == 403
    assert narrow.patch(here, {"environment": "test"}).status_code == 200
    Target.objects.update(credential=credential)
    assert narrow.patch(here, {"address": "10.6.6.6"}).status_code == 403
    assert narrow.patch(here, {"address": web[0].address, "port": 22}).status_code == 200


def test_a_list_costs_the_same_however_long_it_is(
    admin: APIClient, make_target: Callable[..., Target], django_assert_max_num_queries: Callable[..., object]
) -> None:
    for n in range(30):
        make_target(f"t{n}", groups=("a", "b"))
    with django_assert_max_num_queries(10):  # type: ignore[attr-defined]
        assert len(admin.get(URL).json()["results"]) == 30


def test_pages_are_bounded_and_lead_to_each_other(
    admin: APIClient, make_target: Callable[..., Target]
) -> None:
    for n in range(5):
        make_target(f"t{n}")
    first = admin.get(URL, {"limit": "3"}).json()
    second = admin.get(first["next"]).json()
    assert [t["name"] for t in first["results"] + second["results"]] == [f"t{n}" for n in range(5)]
    assert second["next"] is None
    assert admin.get(URL, {"limit": "201"}).status_code == 400
    assert admin.get(URL, {"limit": "200"}).status_code == 200


def test_a_cursor_or_query_that_cannot_be_read_is_told_by_its_name(admin: APIClient) -> None:
    cursor = admin.get(URL, {"cursor": "nonsense"})
    assert (cursor.status_code, cursor.json()["errors"][0]["field"]) == (400, "cursor")
    query = admin.get(URL, {"q": "env:prod grup:web"}).json()["errors"][0]
    assert (query["field"], query["column"]) == ("q", 10)


@pytest.mark.parametrize(
    "key", ["ordering", "credential__password__startswith", "fields", "depth", "expand", "Q"]
)
def test_a_query_parameter_nobody_declared_is_refused(admin: APIClient, key: str) -> None:
    answer = admin.get(URL, {key: "x"})
    assert (answer.status_code, answer.json()["code"]) == (400, "query.invalid")


def test_groups_are_made_and_count_their_targets(admin: APIClient, web: list[Target]) -> None:
    made = admin.post("/api/v1/groups/", {"name": "db", "variables": {"port": 5432}})
    assert made.status_code == 201, made.content
    assert made.json()["targets"] == 0
    rows = admin.get("/api/v1/groups/").json()["results"]
    assert [(group["name"], group["targets"]) for group in rows] == [("db", 0), ("web", 3)]


def test_a_test_is_asked_for_and_its_result_told(clients: dict[str, APIClient], web: list[Target]) -> None:
    here = f"{URL}{web[0].pk}/"
    asked = clients["operator"].post(f"{here}test/")
    assert (asked.status_code, asked.json()["state"]) == (202, "waiting")
    again = clients["operator"].post(f"{here}test/").json()
    assert again["id"] == asked.json()["id"]
    web[0].tests.get().refuse("connect.refused", "Nothing listens there.", "Check the port.")
    [told] = clients["viewer"].get(f"{here}tests/").json()["results"]
    assert (told["state"], told["success"], told["code"]) == ("done", False, "connect.refused")
    assert (told["next_step"], told["asked_by"]) == ("Check the port.", "operator-person")
