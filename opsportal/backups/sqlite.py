"""SQLite: a consistent copy of a database that others write to, and a look into such a copy."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from django.db import connection

from opsportal.backups.archive import BackupError

BUSY_SECONDS = 20.0
BESIDE = ("", "-wal", "-shm")


class SQLite:
    """The database file of the settings, and copies of it."""

    vendor = "sqlite"

    def __init__(self) -> None:
        self.database = Path(os.fspath(connection.settings_dict["NAME"]))

    def staging(self, data_dir: Path) -> Path:
        """Beside the database, for it is renamed into its place."""
        del data_dir
        return self.database.with_name(f".{self.database.name}.restoring")

    def copy(self, target: Path) -> tuple[str, ...]:
        """The whole database as it is at one moment, into a file; the migrations that it has, as `app.name`.

        Writers go on meanwhile. Raises BackupError.
        """
        try:
            with (
                closing(
                    sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=BUSY_SECONDS)
                ) as source,
                closing(sqlite3.connect(target)) as into,
            ):
                # All pages in one step: it is one read transaction, which no writer can make begin anew.
                source.backup(into, pages=-1)
                into.execute("PRAGMA journal_mode=DELETE")
            self.check(target)
        except sqlite3.Error as error:
            raise BackupError(f"The database {self.database} cannot be copied: {error}.") from None
        with closing(sqlite3.connect(f"file:{target}?mode=ro", uri=True)) as copied:
            rows = copied.execute("SELECT app, name FROM django_migrations ORDER BY app, name")
            return tuple(f"{app}.{name}" for app, name in rows)

    def check(self, copied: Path) -> None:
        """Raise BackupError unless the file is a sound database."""
        try:
            with closing(sqlite3.connect(f"file:{copied}?mode=ro", uri=True)) as opened:
                (answer,) = opened.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as error:
            answer = str(error)
        if answer != "ok":
            raise BackupError(f"The database in the backup is damaged ({answer}). Take another copy of it.")

    def sealed(self, copied: Path) -> str | None:
        """A sealed value out of the copy, of the canary or of any credential; None when there is none."""
        with closing(sqlite3.connect(f"file:{copied}?mode=ro", uri=True)) as opened:
            found = (
                opened.execute("SELECT sealed FROM credentials_keycanary").fetchone()
                or opened.execute(
                    "SELECT sealed FROM credentials_credential WHERE sealed IS NOT NULL"
                ).fetchone()
            )
        return None if found is None else str(found[0])

    def occupied(self) -> str:
        """What is in the way of a restore; empty when nothing is."""
        if not self.database.exists():
            return ""
        return f"{self.database} exists: restore into an empty folder (--data DIR)"

    def put_in_place(self, copied: Path) -> None:
        """Rename the copy; what was there stays beside it."""
        aside = f"{self.database}.before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        for ending in BESIDE:
            old = Path(f"{self.database}{ending}")
            if old.exists():
                old.rename(f"{aside}{ending}")
        copied.rename(self.database)
