"""What a backup needs of a database, whatever its make."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from django.db import connection

from opsportal.backups.postgresql import PostgreSQL
from opsportal.backups.sqlite import SQLite

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


class Engine(Protocol):
    """The installation's database, and copies of it as files. All of it raises BackupError alone."""

    vendor: str

    def staging(self, data_dir: Path) -> Path:
        """Where a copy is laid before it is put in place."""

    def copy(self, target: Path) -> tuple[str, ...]:
        """The whole database of one moment into a file; its migrations, as `app.name`."""

    def check(self, copied: Path) -> None:
        """Refuse a copy that is no sound one."""

    def sealed(self, copied: Path) -> str | None:
        """A sealed value out of the copy, by which its keys are known; None when it has none."""

    def occupied(self) -> str:
        """What is in the way of a restore; empty when nothing is. Others at work are an error."""

    def put_in_place(self, copied: Path) -> None:
        """Make the copy the database, wholly or not at all; what was there is kept beside it."""


def configured_engine() -> Engine:
    """That of DATABASE_URL."""
    return PostgreSQL() if connection.vendor == "postgresql" else SQLite()
