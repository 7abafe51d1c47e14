"""Looking at the queue costs next to nothing, and loses nothing."""

import sqlite3
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_q.conf import Conf

from automation.workers.queue import enqueue
from opsportal.queue_broker import QuietBroker


@pytest.fixture
def broker(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> QuietBroker:
    del transactional_db
    monkeypatch.setattr(Conf, "POLL", 0.001)
    return QuietBroker(list_key="control")


def looks(broker: QuietBroker) -> int:
    """How many of ten looks asked for rows."""
    with CaptureQueriesContext(connection) as queries:
        for _ in range(10):
            assert not broker.dequeue()
    return sum("django_q_ormq" in query["sql"] for query in queries)


@pytest.mark.sqlite
def test_rows_are_asked_for_once_while_nobody_commits(broker: QuietBroker) -> None:
    assert looks(broker) <= 1


@pytest.mark.sqlite
def test_a_task_that_another_process_commits_is_found(broker: QuietBroker) -> None:
    assert not broker.dequeue()
    enqueue("control", "advance", 7)
    # Our own commits do not count; any commit of somebody else does.
    with sqlite3.connect(Path(str(connection.settings_dict["NAME"]))) as other:
        other.execute("PRAGMA user_version = 7")
    other.close()
    ((_, payload),) = broker.dequeue() or []
    assert payload
    assert not broker.dequeue()


def test_the_product_uses_it() -> None:
    assert settings.Q_CLUSTER["broker_class"] == "opsportal.queue_broker.QuietBroker"
