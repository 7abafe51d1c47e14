"""How often one may ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from tests.api.conftest import READ_UPTIME, bearer, token_text

URL = "/api/v1/tokens/"


@pytest.fixture(autouse=True)
def _fresh_minute(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No counter from before, and a clock that stands, ten seconds before the minute is over."""
    cache.clear()
    monkeypatch.setattr("automation.api.counting.time.time", lambda: 1_700_000_030.0)
    yield
    cache.clear()


def test_who_asks_too_often_is_told_when_to_come_again(clients: dict[str, APIClient], settings: Any) -> None:
    settings.OPSPORTAL_REQUESTS_PER_MINUTE = 3
    assert [clients["viewer"].get(URL).status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = clients["viewer"].get("/api/v1/proposals/")
    assert (answer.status_code, answer["Content-Type"]) == (429, "application/problem+json")
    assert answer.json()["code"] == "limit.requests"
    assert answer["Retry-After"] == "10"


def test_each_token_and_each_person_has_a_count_of_its_own(
    clients: dict[str, APIClient], people: dict[str, Any], settings: Any
) -> None:
    settings.OPSPORTAL_REQUESTS_PER_MINUTE = 1
    first, second = (bearer(token_text(people["viewer"])) for _ in range(2))
    for client in (first, second, clients["viewer"], clients["operator"]):
        assert [client.get(URL).status_code for _ in range(2)] == [200, 429]


def test_the_next_minute_begins_anew(
    clients: dict[str, APIClient], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OPSPORTAL_REQUESTS_PER_MINUTE = 1
    assert [clients["viewer"].get(URL).status_code for _ in range(2)] == [200, 429]
    monkeypatch.setattr("automation.api.counting.time.time", lambda: 1_700_000_041.0)
    assert clients["viewer"].get(URL).status_code == 200


def test_wrong_tokens_from_one_address_are_limited_and_right_ones_still_come_in(
    clients: dict[str, APIClient], people: dict[str, Any], settings: Any
) -> None:
    settings.OPSPORTAL_WRONG_TOKENS_PER_MINUTE = 2
    wrong = bearer("ops_wrong")
    answers = [wrong.get(URL) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert (answers[2].json()["code"], answers[2]["Retry-After"]) == ("limit.wrong_tokens", "10")
    assert wrong.get(URL, REMOTE_ADDR="192.0.2.7").status_code == 401
    assert bearer(token_text(people["viewer"])).get(URL).status_code == 200


def test_zero_is_no_limit(clients: dict[str, APIClient], settings: Any) -> None:
    settings.OPSPORTAL_REQUESTS_PER_MINUTE = settings.OPSPORTAL_WRONG_TOKENS_PER_MINUTE = 0
    assert {clients["viewer"].get(URL).status_code for _ in range(5)} == {200}
    assert {bearer("ops_wrong").get(URL).status_code for _ in range(5)} == {401}


def test_what_the_portal_asks_itself_for_a_person_counts_once(
    clients: dict[str, APIClient], make_target: Callable[..., Any], settings: Any
) -> None:
    settings.OPSPORTAL_REQUESTS_PER_MINUTE = 1
    make_target("web1", groups=("web",))
    answer = clients["operator"].post("/api/v1/proposals/", {"request": "show uptime of web servers"})
    assert answer.status_code == 201
    assert clients["operator"].post("/api/v1/workflows/", {"definition": READ_UPTIME}).status_code == 429
