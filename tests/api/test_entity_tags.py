"""ETag and If-Match on workflows: nobody overwrites what somebody else has just published."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from automation.models import WorkflowVersion
from tests.api.conftest import READ_UPTIME

URL = "/api/v1/workflows/"


@pytest.fixture
def operator(clients: dict[str, APIClient]) -> APIClient:
    operator = clients["operator"]
    assert operator.post(URL, {"definition": READ_UPTIME})["ETag"] == '"1"'
    return operator


def test_an_edit_of_the_newest_version_is_stored(operator: APIClient) -> None:
    tag = operator.get(f"{URL}uptime/")["ETag"]
    answer = operator.post(URL, {"definition": READ_UPTIME | {"summary": "Mine"}}, headers={"If-Match": tag})
    assert (answer.status_code, answer["ETag"]) == (201, '"2"')


def test_an_edit_of_an_older_version_is_refused_and_says_which_is_the_newest(operator: APIClient) -> None:
    operator.post(URL, {"definition": READ_UPTIME | {"summary": "Theirs"}})
    answer = operator.post(
        URL, {"definition": READ_UPTIME | {"summary": "Mine"}}, headers={"If-Match": '"1"'}
    )
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (412, "workflow.version_moved")
    assert problem["errors"][0]["newest"] == 2
    assert WorkflowVersion.objects.count() == 2


def test_sending_the_same_edit_again_after_a_lost_answer_is_no_conflict(operator: APIClient) -> None:
    for status in (201, 200):
        answer = operator.post(
            URL, {"definition": READ_UPTIME | {"summary": "Mine"}}, headers={"If-Match": '"1"'}
        )
        assert (answer.status_code, answer["ETag"]) == (status, '"2"')


@pytest.mark.parametrize("tag", ["*", '"1"', 'W/"1"'])
def test_what_must_exist_and_does_not_is_not_made(operator: APIClient, tag: str) -> None:
    new = {"definition": READ_UPTIME | {"name": "other"}}
    assert operator.post(URL, new, headers={"If-Match": tag}).status_code == 412
    assert operator.get(f"{URL}other/").status_code == 404


@pytest.mark.parametrize(
    ("tags", "status"), [("*", 201), ('"7", "1"', 201), ('W/"1"', 412), ("1", 400), ("", 400)]
)
def test_if_match_takes_what_rfc_9110_says(operator: APIClient, tags: str, status: int) -> None:
    answer = operator.post(URL, {"definition": READ_UPTIME | {"summary": "Mine"}}, headers={"If-Match": tags})
    assert answer.status_code == status, answer.content


def test_an_unchanged_workflow_is_not_sent_again(operator: APIClient) -> None:
    same = operator.get(f"{URL}uptime/", headers={"If-None-Match": '"1"'})
    assert (same.status_code, same.content, same["ETag"]) == (304, b"", '"1"')
    assert operator.get(f"{URL}uptime/", headers={"If-None-Match": '"2"'}).status_code == 200


@pytest.mark.parametrize(
    ("path", "found"), [("workflows/?search=upt", 1), ("workflows/?search=x", 0), ("groups/?search=x", 0)]
)
def test_lists_are_searched_by_name(operator: APIClient, path: str, found: int) -> None:
    assert len(operator.get(f"/api/v1/{path}").json()["results"]) == found
