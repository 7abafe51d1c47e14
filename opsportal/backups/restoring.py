"""Putting a backup in place. What is refused is refused before anything is changed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from django.core.management import call_command
from django.db import connections
from django.db.migrations.loader import MigrationLoader

from automation.after_restore import Settled, settle_after_restore
from credentials.keys import configured_keys, key_name
from credentials.sealed import DecryptionError, Sealed
from opsportal.backups.archive import About, BackupError, unpack
from opsportal.backups.engine import NAMES, Engine, configured_engine
from opsportal.data_directory import write_private


def restore(source: Path, data_dir: Path, *, replace: bool, keys: Path | None) -> tuple[About, Settled]:
    """Put the backup's database in place, migrated and frozen, with every live run settled.

    With `replace`, a database that is there is kept beside the new one. `keys` becomes DIR/.env. Raises
    BackupError, before anything is changed.
    """
    engine = configured_engine()
    connections.close_all()
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _nobody_else(data_dir / "up.lock"):
        if (occupied := engine.occupied()) and not replace:
            raise BackupError(
                f"{occupied}, or give --replace, which keeps the old database beside the new one."
            )
        staged = engine.staging(data_dir)
        staged.unlink(missing_ok=True)
        try:
            about = unpack(source, staged)
            _check(about, engine, staged)
            engine.put_in_place(staged)
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


def _check(about: About, engine: Engine, staged: Path) -> None:
    if about.vendor != engine.vendor:
        raise BackupError(
            f"The backup is of {NAMES.get(about.vendor, about.vendor)}, this installation uses "
            f"{NAMES[engine.vendor]}: set DATABASE_URL to a database of the backup's kind."
        )
    engine.check(staged)
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    if newer := sorted(set(about.migrations) - known):
        raise BackupError(
            f"The backup was made by a newer version of OpsPortal (it has {newer[-1]}). Restore it with that "
            "version."
        )
    if not _keys_fit(engine.sealed(staged)):
        raise BackupError(
            f"The configured keys ({_names(key_name(key) for key in configured_keys())}) do not read this "
            f"backup, which was made with {_names(about.keys)}. Give its keys with --keys FILE, or put "
            "them into OPSPORTAL_ENCRYPTION_KEYS."
        )


def _names(names: Iterator[str] | tuple[str, ...]) -> str:
    return ", ".join(names) or "none"


def _keys_fit(sealed: str | None) -> bool:
    """Whether the configured keys read it; True where there is nothing to read."""
    if sealed is None:
        return True
    try:
        Sealed(sealed).prove_key("the backup")
    except DecryptionError:
        return False
    return True


def _keep_keys(keys: Path, env_file: Path) -> None:
    if env_file.exists():
        env_file.rename(f"{env_file}.before-restore-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    write_private(env_file, keys.read_text(encoding="utf-8"))
