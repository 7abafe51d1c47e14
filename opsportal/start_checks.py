"""What must be true before any process of ours does its work."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError
from django.db import DatabaseError, connection
from django.utils.module_loading import import_string

from automation.api.database_away import why_away
from credentials.keys import KeysUnusable
from opsportal.data_directory import FULL
from opsportal.database_trouble import in_words, trouble, waiting_migrations

MIGRATING = 0x6F707321  # our number among this database's advisory locks


def require_database() -> None:
    """Raises CommandError, with the next step, unless the database answers and may be worked on."""
    try:
        problem = trouble()
    except DatabaseError as error:
        if connection.vendor == "sqlite":
            raise
        # The driver's own words name server and user, never the password.
        raise CommandError(
            f"DATABASE_URL: {in_words(error)}. The driver says: {' '.join(str(error).split())}"
        ) from None
    if problem:
        raise CommandError(f"DATABASE_URL: {problem}.")


@contextmanager
def room_to_work(data: Path) -> Iterator[None]:
    """Raises CommandError, with the next step, where what is done in it finds no room or no database."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise CommandError(f"{data}: the portal's disk is full. Make room there, then start again.") from None
    except DatabaseError as error:
        # Migrating tells of the first table it cannot make by an error around the database's own.
        if not (why := why_away(error) or why_away(error.__context__)):
            raise
        raise CommandError(f"{data}: {why}. Mend that, then start again.") from None


def require_keys() -> None:
    """Raises CommandError, with the next step, unless the configured keys are those of this database.

    A role that keeps no credentials has nothing that could be read with the wrong ones.
    """
    require_database()
    if not settings.PARTS.verify_keys:
        return
    try:
        import_string(settings.PARTS.verify_keys)()
    except KeysUnusable as error:
        raise CommandError(str(error)) from error


def require_migrations() -> None:
    """Raises CommandError unless the database answers and has the tables of this version."""
    require_database()
    if count := waiting_migrations():
        raise CommandError(f"{count} migrations are not applied: run `./ops manage migrate` first.")


@contextmanager
def alone_with_the_tables() -> Iterator[None]:
    """Of several machines that start on one database, one after the other is in here."""
    if connection.vendor != "postgresql":
        yield  # one machine, whose data directory is locked
        return
    while not _asked("SELECT pg_try_advisory_lock(%s)"):
        time.sleep(0.5)
    try:
        yield
    finally:
        _asked("SELECT pg_advisory_unlock(%s)")


def _asked(question: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(question, [MIGRATING])
        return bool(cursor.fetchone()[0])
