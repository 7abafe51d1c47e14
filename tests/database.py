"""The tests' databases as other processes of a test know them."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection

from tests.postgresql import PostgreSQL


def database_url() -> str:
    """DATABASE_URL of the database that this process's tests use."""
    name = str(connection.settings_dict["NAME"])
    server: PostgreSQL | None = settings.TEST_DATABASE_SERVER
    return server.url(name) if server else f"sqlite:///{name}"


def database_of(data: Path) -> dict[str, str]:
    """What a portal with this data directory needs in its environment to have a database of its own.

    Nothing with SQLite, which is a file there. The database is made when it is first asked for.
    """
    server: PostgreSQL | None = settings.TEST_DATABASE_SERVER
    if server is None:
        return {}
    server.start()  # no test before may have needed it
    name = hashlib.sha256(str(data).encode()).hexdigest()[:20]
    if name not in server.databases():
        server.add_database(name)
    return {"DATABASE_URL": server.url(name)}


def execute_in(data: Path, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement, with `?` for each value, in the database of the portal with this data directory."""
    if found := database_of(data):
        with psycopg.connect(found["DATABASE_URL"]) as connection:
            return connection.execute(statement.replace("?", "%s").encode(), values).fetchall()
    with closing(sqlite3.connect(data / "opsportal.sqlite3", timeout=20)) as database:
        rows = database.execute(statement, values).fetchall()
        database.commit()
        return rows
