"""A request that finds no database is told so, with what to do; a mistake of ours stays a mistake of ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.http import HttpResponse

from tests.opsportal.test_problems import answer_to, problem


@contextmanager
def refusing(words: str) -> Iterator[None]:
    """Every statement of this connection fails as SQLite fails with these words."""

    def refuse(*_: Any) -> Any:
        raise OperationalError(words)

    with connection.execute_wrapper(refuse):
        yield


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("database or disk is full", "the portal's disk is full"),
        ("database is locked", "the database is busy with other writing"),
        ("unable to open database file", "the database file cannot be opened"),
    ],
)
def test_a_request_without_a_database_is_told_why_and_when_to_come_back(words: str, told: str) -> None:
    answer: HttpResponse = answer_to(OperationalError(words))
    found = problem(answer)
    assert (found["status"], found["code"]) == (503, "database.away")
    assert told in found["detail"] and "Idempotency-Key" in found["detail"]
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.sqlite
def test_a_wrong_query_of_ours_is_not_blamed_on_the_database() -> None:
    with closing(sqlite3.connect(":memory:")) as database, pytest.raises(sqlite3.OperationalError) as real:
        database.execute("SELECT * FROM nothing")
    assert problem(answer_to(OperationalError(str(real.value))))["code"] == "internal"


@pytest.mark.sqlite
@pytest.mark.django_db
def test_pages_tell_the_same(client: Any) -> None:
    client.raise_request_exception = False
    client.cookies["sessionid"] = "x" * 32
    with refusing("database or disk is full"):
        page = client.get("/runs/")
        answer = client.get("/api/v1/runs/")
    assert page.status_code == 503
    assert "disk is full" in page.content.decode().replace("&#x27;", "'")
    assert (answer.status_code, answer.json()["code"]) == (503, "database.away")
