"""System checks of PostgreSQL: what would lose work or give the password away. SQLite's are in `checks`."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connection

from opsportal.database_trouble import postgresql_troubles, shown

POSTGRESQL = "django.db.backends.postgresql"
ENCRYPTED = ("require", "verify-ca", "verify-full")


@register
def postgresql(app_configs: Iterable[AppConfig] | None, **options: object) -> list[CheckMessage]:
    """The settings alone; asks no server."""
    return [
        problem
        for alias, database in settings.DATABASES.items()
        if database["ENGINE"] == POSTGRESQL
        for problem in _settings_problems(alias, database)
    ]


def _settings_problems(alias: str, database: Mapping[str, Any]) -> Iterator[CheckMessage]:
    given = database.get("OPTIONS", {})
    if "idle_in_transaction_session_timeout=" not in given.get("options", ""):
        yield Error(
            f"Database {alias}: a machine that is gone would keep the runs it was writing locked.",
            hint="OPTIONS: options with -c idle_in_transaction_session_timeout=10s.",
            id="opsportal.E012",
        )
    if given.get("isolation_level") or not database.get("AUTOCOMMIT", True):
        yield Error(
            f"Database {alias}: claims and leases are made for autocommit and READ COMMITTED.",
            hint="Leave AUTOCOMMIT and OPTIONS['isolation_level'] alone.",
            id="opsportal.E013",
        )
    host = database.get("HOST", "")
    loopback = not host or host.startswith(("/", "127.")) or host in {"localhost", "::1"}
    if not loopback and given.get("sslmode") not in ENCRYPTED:
        yield Warning(
            f"Database {alias}: whoever listens on the way to the server may read and change everything.",
            hint="DATABASE_URL: end it with ?sslmode=verify-full (and &sslrootcert=FILE for your own CA).",
            id="opsportal.W001",
        )


@register(Tags.database)
def server(
    app_configs: Iterable[AppConfig] | None, databases: Iterable[str] | None = None, **options: object
) -> list[CheckMessage]:
    """What the server itself says; only where a command asks about databases, as `migrate` does."""
    if "default" not in (databases or ()) or connection.vendor != "postgresql":
        return []
    try:
        problems: list[CheckMessage] = [Error(text, id="opsportal.E014") for text in postgresql_troubles()]
        if shown("fsync") == "off":
            problems.append(
                Warning(
                    "The database server does not wait for its disk: a power cut would lose what was done.",
                    hint="Set fsync to on in postgresql.conf.",
                    id="opsportal.W002",
                )
            )
    except DatabaseError:
        return []  # whoever asked is about to say that it cannot be reached
    return problems
