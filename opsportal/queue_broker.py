"""The queue in the database, looked at twenty times a second for next to nothing."""

from __future__ import annotations

import logging
import time
from typing import Any

from django.db import InterfaceError, OperationalError, close_old_connections, connections
from django.db.models import QuerySet
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import OrmQ

LONGEST_TRUST = 1.0
# Where something was committed, something for us often follows: a run's submission, then its shards.
STIR_SECONDS = 0.5
STIRRED_POLL = 0.01
logger = logging.getLogger(__name__)


class QuietBroker(ORM):  # type: ignore[misc]  # django-q2 has no types
    """django-q2's own, without a new connection for each look and, on SQLite, without a query where nothing
    was committed since the last one. A second is the longest it goes by that."""

    _seen: int | None = None
    _seen_at = 0.0
    _stirred_at = 0.0

    @staticmethod
    def get_connection(list_key: str | None = None) -> QuerySet[Any]:
        # The base class closes the connection first, each time.
        return OrmQ.objects.using(Conf.ORM)  # type: ignore[no-any-return]  # django-q2 has no types

    def dequeue(self) -> list[tuple[int, str]] | None:
        """Tasks to do, now ours; None after a pause when there are none, or no database that answers."""
        try:
            return self._dequeue()
        except (OperationalError, InterfaceError) as error:
            # Else django-q2 ends this process, and looks again after ten seconds at the earliest.
            logger.warning("the queue waits for the database: %s", error)
            connections[Conf.ORM].close()
            time.sleep(LONGEST_TRUST)
            return None

    def _dequeue(self) -> list[tuple[int, str]] | None:
        # Read before the look at the rows: what is committed in between is seen the next time.
        version, now = _data_version(), time.monotonic()
        if version is not None and version == self._seen and now - self._seen_at < LONGEST_TRUST:
            self._rest(now)
            return None
        if version != self._seen:
            self._stirred_at = now
        found: list[tuple[int, str]] | None = super().dequeue() if self._has_due() else None
        if not found:
            self._seen, self._seen_at = version, now
            self._rest(now)
        return found

    def _has_due(self) -> bool:
        # The base class would pause by itself where there is nothing.
        return self.get_connection().filter(key=self.list_key, lock__lt=timezone.now()).exists()

    def _rest(self, now: float) -> None:
        time.sleep(min(STIRRED_POLL, Conf.POLL) if now - self._stirred_at < STIR_SECONDS else Conf.POLL)

    def delete(self, task_id: int) -> None:
        """Take a finished task out of the queue."""
        # Done by another process, which may have rested since before a restart of the database.
        close_old_connections()
        super().delete(task_id)


def _data_version() -> int | None:
    """A number that changes with every commit of another process to an SQLite file; None elsewhere."""
    connection = connections[Conf.ORM]
    if connection.vendor != "sqlite":
        return None
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA data_version")
        return int(cursor.fetchone()[0])
