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

LOOK_EVERY = 0.02
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


class Poll:
    """Any other database: as if it rang every time. A LISTEN would take its place, with the same promise."""

    def wait(self) -> bool:
        time.sleep(POLL_EVERY)
        return True

    def close(self) -> None:
        """It holds nothing."""


def doorbell() -> Doorbell:
    """The quickest that the default database has."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite" and ":memory:" not in name and not name.startswith("file:"):
        connection.ensure_connection()  # makes the file's companions, which a reader only opens
        return DataVersion(Path(name).absolute())
    return Poll()
