"""Workflows by API."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from automation.models import WorkflowVersion
from tests.api.conftest import READ_UPTIME, TOUCH

URL = "/api/v1/workflows/"
TEXT = """\
name: uptime
summary: How long
steps:
  - name: look
    effect: read
    run: {bash: uptime}
"""


@pytest.fixture
def operator(clients: dict[str, APIClient]) -> APIClient:
    return clients["operator"]


def test_a_definition_becomes_version_after_version(operator: APIClient, people: Any) -> None:
    first = operator.post(URL, {"definition": READ_UPTIME})
    assert (first.status_code, first.json()["version"]) == (201, 1), first.content
    again = operator.post(URL, {"definition": READ_UPTIME})
    assert (again.status_code, again.json()["version"]) == (200, 1)
    second = operator.post(URL, {"text": TEXT})
    assert (second.status_code, second.json()["version"], second.json()["text"]) == (201, 2, TEXT)
    versions = operator.get(f"{URL}uptime/versions/").json()["results"]
    assert [version["version"] for version in versions] == [2, 1]
    assert versions[0]["author"] == people["operator"].username


def test_the_list_and_the_detail_show_the_newest_version(operator: APIClient) -> None:
    operator.post(URL, {"definition": READ_UPTIME})
    operator.post(URL, {"text": TEXT})
    operator.post(URL, {"definition": TOUCH})
    rows = operator.get(URL).json()["results"]
    assert [(row["name"], row["version"], row["summary"]) for row in rows] == [
        ("touch-file", 1, "Make a file"),
        ("uptime", 2, "How long"),
    ]
    assert operator.get(f"{URL}uptime/").json()["definition"]["steps"][0]["name"] == "look"


def test_a_wrong_definition_is_answered_line_by_line(operator: APIClient) -> None:
    answer = operator.post(URL, {"text": TEXT.replace("effect:", "efect:")})
    assert (answer.status_code, answer.json()["code"]) == (400, "definition.invalid")
    found = {error["line"]: error["message"] for error in answer.json()["errors"]}
    assert "did you mean 'effect'" in found[5]
    assert not WorkflowVersion.objects.exists()


@pytest.mark.parametrize(
    "body", [{}, {"text": TEXT, "definition": READ_UPTIME}, {"definition": "x"}, {"text": 5}]
)
def test_a_definition_comes_in_one_form(operator: APIClient, body: dict[str, Any]) -> None:
    assert operator.post(URL, body).status_code == 400


def test_an_ai_publishes_nothing(clients: dict[str, APIClient]) -> None:
    answer = clients["ai"].post(URL, {"definition": READ_UPTIME})
    assert (answer.status_code, answer.json()["code"]) == (403, "person.required")


def test_the_list_costs_the_same_however_long_it_is(
    operator: APIClient, django_assert_max_num_queries: Any
) -> None:
    for n in range(10):
        operator.post(URL, {"definition": READ_UPTIME | {"name": f"w{n}"}})
    with django_assert_max_num_queries(5):
        assert len(operator.get(URL).json()["results"]) == 10


def test_the_schema_of_the_language_is_published(operator: APIClient) -> None:
    answer = operator.get(f"{URL}schema/")
    schema = answer.json()
    assert (answer.status_code, schema["title"]) == (200, "OpsPortal workflow")
    assert {"for_each", "retry", "reboot", "check"} <= set(schema["$defs"]["Step"]["properties"])
    named = operator.post(URL, {"definition": READ_UPTIME | {"name": "schema"}})
    assert "a meaning of its own" in named.json()["errors"][0]["message"]


def test_two_versions_are_compared(operator: APIClient) -> None:
    for summary in ("One", "Two", "Three"):
        operator.post(URL, {"definition": READ_UPTIME | {"summary": summary}})
    answer = operator.get(f"{URL}uptime/diff/").json()
    change = {"kind": "changed", "path": "summary", "before": "Two", "after": "Three"}
    assert (answer["from"], answer["to"], answer["changes"]) == (2, 3, [change])
    first = operator.get(f"{URL}uptime/diff/", {"from": 1, "to": 3}).json()
    assert first["changes"][0]["before"] == "One"
    assert operator.get(f"{URL}uptime/diff/", {"from": 7}).status_code == 404
    assert operator.get(f"{URL}uptime/diff/", {"from": "x"}).status_code == 400
