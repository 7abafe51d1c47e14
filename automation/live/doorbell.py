"""What tells a process that something was written: it says that, never what.

A doorbell may ring for nothing. One that stays silent though something was written costs time and never data:
whoever waits looks after its patience anyway.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Protocol

from django.db import connection

from automation.models.notices import STORY_CHANNEL

LOOK_EVERY = 0.02
LISTEN_FOR = 0.05  # who comes new is seen after this; what rings ends it at once
POLL_EVERY = 0.25


class Doorbell(Protocol):
    """One waiting thread's; made, used and closed in that thread."""

    def wait(self) -> bool:
        """Sleep a moment; whether something may have been written since the last call."""

    def close(self) -> None:
        """Let go of what it holds."""


class DataVersion:
    """SQLite: `PRAGMA data_version` changes with every commit of any other connection, of any process."""

    def __init__(self, file: Path) -> None:
        self._database = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, isolation_level=None)
        self._seen = -1

    def wait(self) -> bool:
        time.sleep(LOOK_EVERY)
        (version,) = self._database.execute("PRAGMA data_version").fetchone()
        rang = version != self._seen
        self._seen = version
        return bool(rang)

    def close(self) -> None:
        self._database.close()


class Listen:
    """PostgreSQL: LISTEN, rung in the transactions that append to a run's story. It has a session of its own.

    The first look rings, for nobody listened before it. A session that is lost raises what a query would;
    whoever makes a new one has missed nothing, but must not rely on it alone: a connection pooler on the way
    that shares sessions would let nothing through.
    """

    def __init__(self) -> None:
        self._session = connection.copy()
        with self._session.cursor() as cursor:
            cursor.execute(f"LISTEN {STORY_CHANNEL}")
        self._new = True

    def wait(self) -> bool:
        if self._new:
            self._new = False
            return True
        with self._session.wrap_database_errors:
            # All that came, not the first of them: each look serves for all.
            return bool(list(self._session.connection.notifies(timeout=LISTEN_FOR, stop_after=1)))

    def close(self) -> None:
        self._session.close()


class Poll:
    """SQLite in memory, which nobody else sees: as if it rang every time."""

    def wait(self) -> bool:
        time.sleep(POLL_EVERY)
        return True

    def close(self) -> None:
        """It holds nothing."""


def doorbell() -> Doorbell:
    """The quickest that the default database has."""
    if connection.vendor == "postgresql":
        return Listen()
    name = str(connection.settings_dict["NAME"])
    if ":memory:" not in name and not name.startswith("file:"):
        connection.ensure_connection()  # makes the file's companions, which a reader only opens
        return DataVersion(Path(name).absolute())
    return Poll()
