"""Putting a backup in place. What is refused is refused before anything is changed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from django.core.management import call_command
from django.db import connection, connections
from django.db.migrations.loader import MigrationLoader

from automation.after_restore import Settled, settle_after_restore
from credentials.keys import configured_keys, key_name
from opsportal.backups import sqlite
from opsportal.backups.archive import About, BackupError, unpack
from opsportal.data_directory import write_private

BESIDE = ("", "-wal", "-shm")


def restore(source: Path, data_dir: Path, *, replace: bool, keys: Path | None) -> tuple[About, Settled]:
    """Put the backup's database in place, migrated and frozen, with every live run settled.

    With `replace`, a database that is there is kept beside the new one. `keys` becomes DIR/.env. Raises
    BackupError, before anything is changed.
    """
    if connection.vendor != "sqlite":
        raise BackupError("This command restores SQLite databases. For PostgreSQL use pg_restore.")
    database = Path(os.fspath(connection.settings_dict["NAME"]))
    connections.close_all()
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _nobody_else(data_dir / "up.lock"):
        if database.exists() and not replace:
            raise BackupError(
                f"{database} exists: restore into an empty folder (--data DIR), or give --replace, which "
                "keeps the old database beside the new one."
            )
        staged = database.with_name(f".{database.name}.restoring")
        staged.unlink(missing_ok=True)
        try:
            about = unpack(source, staged)
            _check(about, staged)
            _put_in_place(staged, database)
        finally:
            staged.unlink(missing_ok=True)
        if keys is not None:
            _keep_keys(keys, data_dir / ".env")
        call_command("migrate", interactive=False, verbosity=0)
        return about, settle_after_restore(about.moment)


@contextmanager
def _nobody_else(file: Path) -> Iterator[None]:
    """`up` holds this lock while it runs."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BackupError(f"`up` runs on {file.parent}: end it first.") from None
    finally:
        os.close(descriptor)


def _check(about: About, staged: Path) -> None:
    if about.vendor != "sqlite":
        raise BackupError(f"The backup is of {about.vendor}, this installation uses SQLite.")
    sqlite.check(staged)
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    if newer := sorted(set(about.migrations) - known):
        raise BackupError(
            f"The backup was made by a newer version of OpsPortal (it has {newer[-1]}). Restore it with that "
            "version."
        )
    if not sqlite.keys_fit(staged):
        raise BackupError(
            f"The configured keys ({_names(key_name(key) for key in configured_keys())}) do not read this "
            f"backup, which was made with {_names(about.keys)}. Give its keys with --keys FILE, or put "
            "them into OPSPORTAL_ENCRYPTION_KEYS."
        )


def _names(names: Iterator[str] | tuple[str, ...]) -> str:
    return ", ".join(names) or "none"


def _put_in_place(staged: Path, database: Path) -> None:
    aside = f"{database}.before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    for ending in BESIDE:
        old = Path(f"{database}{ending}")
        if old.exists():
            old.rename(f"{aside}{ending}")
    staged.rename(database)


def _keep_keys(keys: Path, env_file: Path) -> None:
    if env_file.exists():
        env_file.rename(f"{env_file}.before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    write_private(env_file, keys.read_text(encoding="utf-8"))
