"""Pages of the inventory: filters, groups, flags, import, export, and a command on a query."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils.html import escape
from pytest_django import DjangoAssertNumQueries

from automation.models import InventoryUpload, JobRun, Target
from tests.dashboard.people import browser_of, person
from tests.inventory.conftest import group, target

pytestmark = pytest.mark.django_db

PASSWORD = "canary-Qw8zN4tYv6Rk"


@pytest.fixture
def admin() -> Client:
    return browser_of(person("ada", "admin"))


@pytest.fixture
def operator() -> Client:
    return browser_of(person("olga", "operator"))


def upload(client: Client, text: str, name: str = "hosts.csv", **sent: str) -> Any:
    return client.post("/targets/import/", {"file": SimpleUploadedFile(name, text.encode()), **sent})


def test_the_list_takes_filters_beside_the_query(operator: Client) -> None:
    group("web")
    target("web1", "web", environment="prod")
    target("web2", "web", environment="prod", maintenance=True)
    target("db1", environment="prod")
    page = operator.get(
        "/targets/", {"q": "env:prod", "group": "web", "flag": "maintenance"}
    ).content.decode()
    assert "web2" in page and ">web1<" not in page and ">db1<" not in page
    assert "In maintenance" in page
    assert escape("?q=env%3Aprod&group=web&flag=maintenance&format=csv") in page


def test_a_mistake_in_the_query_is_pointed_at(operator: Client) -> None:
    page = operator.get("/targets/", {"q": "env:prod grup:web"}).content.decode()
    assert "env:prod grup:web\n         ^" in page


def test_the_list_costs_the_same_however_long_it_is(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    group("a", query="name:t*")
    for n in range(30):
        target(f"t{n}", "a")
    with django_assert_max_num_queries(20):
        assert b"t29" in operator.get("/targets/", {"q": "group:a"}).content
    with django_assert_max_num_queries(12):
        assert b">30<" in operator.get("/groups/").content


def test_groups_stand_below_those_they_lie_in(operator: Client) -> None:
    group("world", variables={"ntp": "x"})
    group("eu", "world", query="zone:eu")
    target("web1", "eu")
    page = operator.get("/groups/").content.decode()
    assert page.index("world") < page.index("inside 1 other")
    assert "zone:eu" in page and "ntp=x" in page


def test_a_target_says_where_groups_and_variables_come_from(operator: Client) -> None:
    group("eu", variables={"ntp": "far"})
    group("zurich", "eu", query="tag:z", variables={"ntp": "near"})
    made = target("web1", tags=["z"])
    page = operator.get(f"/targets/{made.pk}/").content.decode()
    assert "by its query tag:z" in page and "through zurich" in page
    assert "group zurich" in page and "far</span> of eu" in page


def test_flags_are_changed_by_those_who_may(admin: Client, operator: Client) -> None:
    made = target("web1")
    assert operator.post(f"/targets/{made.pk}/flags/", {"to": "disabled"}).status_code == 403
    admin.post(f"/targets/{made.pk}/flags/", {"to": "maintenance", "hours": "2", "reason": "new disks"})
    made.refresh_from_db()
    assert made.maintenance and made.maintenance_until is not None
    assert b"new disks" in operator.get(f"/targets/{made.pk}/").content
    admin.post(f"/targets/{made.pk}/flags/", {"to": "maintenance", "hours": "x"})
    admin.post(f"/targets/{made.pk}/flags/", {"to": "ready"})
    admin.post(f"/targets/{made.pk}/flags/", {"to": "disabled"})
    made.refresh_from_db()
    assert (made.enabled, made.maintenance, made.maintenance_reason) == (False, False, "")


def test_a_file_is_looked_at_before_it_is_imported(admin: Client) -> None:
    target("web1", environment="dev")
    text = "name,address,environment,user,password\nweb1,web1.example.org,prod,,\n"
    text += f"web2,10.0.0.2,prod,ops,{PASSWORD}\n"
    preview = upload(admin, text)
    page = preview.content.decode()
    assert preview.status_code == 200 and "environment: dev → prod" in page and "web2" in page
    assert PASSWORD not in page
    assert not Target.objects.filter(name="web2").exists()
    kept = InventoryUpload.objects.get()
    assert PASSWORD not in str(InventoryUpload.objects.values_list("sealed", flat=True).get())
    admin.post(f"/targets/import/{kept.uuid}/")
    assert Target.objects.get(name="web2").credential is not None
    assert Target.objects.get(name="web1").environment == "prod"
    assert not InventoryUpload.objects.exists()
    again = admin.post(f"/targets/import/{kept.uuid}/")
    assert again.status_code == 422 and b"choose it again" in again.content


def test_somebody_elses_file_cannot_be_imported(admin: Client) -> None:
    upload(admin, "name,address\nweb1,10.0.0.1\n")
    other = browser_of(person("eve", "admin"))
    assert other.post(f"/targets/import/{InventoryUpload.objects.get().uuid}/").status_code == 422
    assert not Target.objects.exists()


def test_mistakes_of_a_file_are_named_by_line_and_nothing_is_kept(admin: Client) -> None:
    answer = upload(admin, "name,address,port\nweb1,10.0.0.1,22\nweb2,-oX,99999\n")
    page = answer.content.decode()
    assert answer.status_code == 422 and "line 3, column 2" in page and "column 3" in page
    assert not InventoryUpload.objects.exists()
    skipped = upload(
        admin, "name,address,port\nweb1,10.0.0.1,22\nweb2,-oX,99999\n", skip="1"
    ).content.decode()
    assert "Left out: 2 things to correct" in skipped
    unknown = upload(admin, "x", name="hosts")
    assert unknown.status_code == 422 and b"choose the format" in unknown.content


def test_import_is_for_those_who_may(operator: Client) -> None:
    assert upload(operator, "name,address\nweb1,10.0.0.1\n").status_code == 403
    assert b"disabled" in operator.get("/targets/import/").content


def test_the_list_can_be_written_to_a_file(operator: Client) -> None:
    target("web1")
    target("db1")
    answer = operator.get("/targets/export/", {"format": "json", "q": "web*"})
    assert [each["name"] for each in json.loads(answer.content)["hosts"]] == ["web1"]
    assert answer["Content-Disposition"] == 'attachment; filename="inventory.json"'


def test_a_command_on_a_query_becomes_a_run_like_any_other(operator: Client) -> None:
    group("web")
    target("web1", "web", environment="prod")
    sent = {"targets": "group:web", "command": "apt-get update\n", "effect": "change", "become": "1"}
    shown = operator.post("/command/", {**sent, "preview": "1"})
    assert b"1 target" in shown.content and not JobRun.objects.exists()
    answer = operator.post("/command/", sent)
    run = JobRun.objects.get()
    assert answer["Location"] == f"/runs/{run.pk}/"
    assert (run.status, run.tier, run.workflow_name) == ("awaiting_approval", "change", "command")
    step = json.loads(run.header)["workflow"]["steps"][0]
    assert (step["run"]["bash"], step["become"]) == ("apt-get update\n", True)


def test_the_plan_shows_who_is_left_out_and_why(operator: Client) -> None:
    target("web1")
    target("web2", maintenance=True, maintenance_reason="new disks")
    operator.post("/command/", {"targets": "web*", "command": "true", "effect": "change", "hold": "1"})
    page = operator.get(f"/runs/{JobRun.objects.get().pk}/plan/").content.decode()
    assert "1 left out" in page and "in maintenance: new disks" in page


def test_administration_refuses_a_group_that_would_depend_on_itself(admin: Client) -> None:
    outer = group("outer")
    inner = group("inner", "outer")
    sent = {"name": "outer", "description": "", "query": "", "variables": "{}", "parents": [inner.pk]}
    answer = admin.post(f"/admin/automation/group/{outer.pk}/change/", sent)
    assert "circle" in answer.content.decode()
    assert not outer.parents.exists()
    wrong = admin.post(
        f"/admin/automation/group/{outer.pk}/change/", {**sent, "parents": [], "query": "grup:x"}
    )
    assert "column 1" in wrong.content.decode()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"effect": ""}, "Say what the command does"),
        ({"command": " "}, "the script is empty"),
        ({"targets": "grup:web"}, "did you mean group:?"),
        ({"targets": "name:nobody"}, "No enabled target matches"),
        ({"timeout": "soon"}, "timeout"),
        ({"shell": "powershell"}, "no run body for linux"),
    ],
)
def test_what_is_wrong_with_a_command_is_told_and_what_was_typed_stays(
    operator: Client, changed: dict[str, str], told: str
) -> None:
    target("web1")
    sent = {"targets": "web1", "command": "uptime --pretty", "effect": "read", **changed}
    answer = operator.post("/command/", sent)
    page = answer.content.decode()
    assert answer.status_code == 422 and told in page
    assert escape(sent["targets"]) in page
    assert not JobRun.objects.exists()
