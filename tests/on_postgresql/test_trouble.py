"""A database that must not be worked on says so at the start, in /readyz and in the system checks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.db import connection
from django.test import Client

from opsportal.data_directory import prepare
from tests.on_postgresql.machines import environment
from tests.opsportal.portal import MANAGE

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def set_in_session() -> Iterator[Any]:
    """A setting of this test's own session, as if the server had it."""

    def put(name: str, value: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config(%s, %s, false)", [name, value])

    yield put
    connection.close()


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("default_transaction_read_only", "on", "the database is read-only"),
        ("synchronous_commit", "off", "could be started twice"),
    ],
)
def test_a_server_that_would_lose_work_makes_us_not_ready(
    client: Client, set_in_session: Any, setting: str, value: str, says: str
) -> None:
    assert client.get("/readyz").json()["checks"]["database"]["ok"]
    set_in_session(setting, value)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert says in answer.json()["checks"]["database"]["reason"]
    found = {message.id for message in run_checks(tags=["database"], databases=["default"])}
    assert "opsportal.E014" in found


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"OPTIONS": {}}, {"opsportal.E012"}),
        ({"AUTOCOMMIT": False}, {"opsportal.E013"}),
        ({"HOST": "db.example.org"}, {"opsportal.W001"}),
    ],
)
def test_unsafe_settings_are_found(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], expected: set[str]
) -> None:
    monkeypatch.setitem(settings.DATABASES, "default", settings.DATABASES["default"] | change)
    ids = {message.id for message in run_checks() if message.id and message.id.startswith("opsportal.")}
    assert ids == expected


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://u:canary@%2Fnowhere/d", "the database cannot be reached"),
        ("postgresql://opsportal:canary@{server}/nothing", "the database, or our user in it, does not exist"),
    ],
)
def test_a_start_without_a_database_ends_in_words_and_without_the_password(
    tmp_path: Path, url: str, says: str
) -> None:
    server = settings.TEST_DATABASE_SERVER
    assert server is not None
    prepare(tmp_path, {})
    folder = str(server.folder).replace("/", "%2F")
    done = subprocess.run(
        [sys.executable, str(MANAGE), "workers"],
        env=environment(tmp_path, url.format(server=folder)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert says in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert "canary" not in done.stdout + done.stderr


def test_workers_do_not_begin_on_tables_of_another_version(tmp_path: Path) -> None:
    server = settings.TEST_DATABASE_SERVER
    assert server is not None
    prepare(tmp_path, {})
    done = subprocess.run(
        [sys.executable, str(MANAGE), "workers"],
        env=environment(tmp_path, server.add_database("empty")),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "./ops manage migrate" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
