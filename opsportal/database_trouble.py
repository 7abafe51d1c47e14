"""What is wrong with the database, in words: for whoever starts a process, and for /readyz."""

from collections.abc import Iterator

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from automation.api.database_away import AWAY, why_away

# libpq has no codes for what happens before a session begins. Its words, and what strangers may be told.
LOGIN_TROUBLES = (
    ("password authentication failed", "the database refuses our login"),
    ("no password supplied", "the database refuses our login"),
    ("pg_hba.conf", "the database refuses our login"),
    ("too many clients", "the database takes no more connections"),
    ("connection slots are reserved", "the database takes no more connections"),
    ("starting up", "the database is starting"),
    ("shutting down", "the database is shutting down"),
    ("does not exist", "the database, or our user in it, does not exist"),
    ("certificate", "the database's certificate is not trusted"),
)


def in_words(error: DatabaseError) -> str:
    """Why there is no session. Without names, addresses or users: anybody may ask for it."""
    said = str(error)
    return next((words for sign, words in LOGIN_TROUBLES if sign in said), why_away(error) or AWAY)


def trouble() -> str:
    """Why the default database must not be worked on; empty when nothing is wrong.

    Raises DatabaseError when it cannot be asked.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return next(postgresql_troubles(), "") if connection.vendor == "postgresql" else ""


def postgresql_troubles() -> Iterator[str]:
    """What would lose work on this server, or stop it. Raises DatabaseError when it cannot be asked."""
    found = {name: shown(name) for name in ("synchronous_commit", "transaction_read_only", "server_encoding")}
    if found["transaction_read_only"] == "on":
        yield "the database is read-only: a standby, or set so; DATABASE_URL must name the primary server"
    if found["synchronous_commit"] == "off":
        yield (
            "the database says `committed` before it is (synchronous_commit is off), so a step could be "
            "started twice; set it to on"
        )
    if found["server_encoding"] != "UTF8":
        yield "the database is not encoded in UTF-8: make one with ENCODING 'UTF8'"


def waiting_migrations() -> int:
    """How many this version has that the database has not."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def shown(name: str) -> str:
    """A setting of the PostgreSQL server, as this session has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [name])
        return str(cursor.fetchone()[0])
