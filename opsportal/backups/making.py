"""Making a backup of a portal at work."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from automation.models import Installation
from credentials.keys import configured_keys, key_name
from opsportal.backups import sqlite
from opsportal.backups.archive import About, BackupError, checksum, now, pack
from opsportal.data_directory import SECRET_NAMES, write_private


def make_backup(target: Path) -> About:
    """Write a backup of the database. Raises BackupError; then nothing is left behind."""
    if connection.vendor != "sqlite":
        raise BackupError(
            "This command copies SQLite databases. For PostgreSQL use pg_dump, and keep the keys apart."
        )
    if target.exists():
        raise BackupError(f"{target} exists already: choose another name, a backup is never written over.")
    if not target.parent.is_dir():
        raise BackupError(f"There is no folder {target.parent}: make it first.")
    installation = Installation.identity()
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=target.parent) as folder:
        copy = Path(folder, "database")
        made_at = now()  # before the copy: whatever it does not hold is younger
        sqlite.copy(_database(), copy)
        about = About(
            made_at=made_at,
            vendor=connection.vendor,
            installation=installation,
            migrations=sqlite.migrations(copy),
            keys=tuple(key_name(key) for key in configured_keys()),
            sha256=checksum(copy),
            size=copy.stat().st_size,
        )
        try:
            pack(about, copy, target)
        except OSError as error:
            raise BackupError(f"{target} cannot be written: {error.strerror}.") from None
    return about


def write_keys(target: Path) -> None:
    """Write the keys as `restore --keys` reads them, for their owner only. Raises BackupError."""
    values: dict[str, Any] = dict(
        zip(SECRET_NAMES, (settings.SECRET_KEY, ",".join(configured_keys())), strict=True)
    )
    if target.exists():
        raise BackupError(f"{target} exists already: choose another name, keys are never written over.")
    try:
        write_private(target, "".join(f"{name}={value}\n" for name, value in values.items()))
    except OSError as error:
        raise BackupError(f"{target} cannot be written: {error.strerror}.") from None


def _database() -> Path:
    return Path(os.fspath(connection.settings_dict["NAME"]))
