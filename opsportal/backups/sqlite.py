"""SQLite: a consistent copy of a database that others write to, and a look into such a copy."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from credentials.sealed import DecryptionError, Sealed
from opsportal.backups.archive import BackupError

BUSY_SECONDS = 20.0


def copy(database: Path, target: Path) -> None:
    """The whole database as it is at one moment; writers go on meanwhile. Raises BackupError."""
    try:
        with (
            closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as source,
            closing(sqlite3.connect(target)) as into,
        ):
            # All pages in one step: it is one read transaction, which no writer can make begin anew.
            source.backup(into, pages=-1)
            into.execute("PRAGMA journal_mode=DELETE")
        check(target)
    except sqlite3.Error as error:
        raise BackupError(f"The database {database} cannot be copied: {error}.") from None


def check(database: Path) -> None:
    """Raise BackupError unless the file is a sound database."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        answer = str(error)
    if answer != "ok":
        raise BackupError(f"The database in the backup is damaged ({answer}). Take another copy of it.")


def migrations(database: Path) -> tuple[str, ...]:
    """The migrations that the copy has, as `app.name`."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT app, name FROM django_migrations ORDER BY app, name")
        return tuple(f"{app}.{name}" for app, name in rows)


def keys_fit(database: Path) -> bool:
    """Whether the configured keys read the copy's canary; True where there is neither canary nor secret."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        found = (
            connection.execute("SELECT sealed FROM credentials_keycanary").fetchone()
            or connection.execute(
                "SELECT sealed FROM credentials_credential WHERE sealed IS NOT NULL"
            ).fetchone()
        )
    if found is None:
        return True
    try:
        Sealed(found[0]).prove_key("the backup")
    except DecryptionError:
        return False
    return True
