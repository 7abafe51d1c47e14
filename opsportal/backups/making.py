"""Making a backup of a portal at work."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings

from automation.models import Installation
from credentials.keys import configured_keys, key_name
from opsportal.backups.archive import About, BackupError, checksum, now, pack
from opsportal.backups.engine import configured_engine
from opsportal.data_directory import SECRET_NAMES, write_private


def make_backup(target: Path) -> About:
    """Write a backup of the database. Raises BackupError; then nothing is left behind."""
    if target.exists():
        raise BackupError(f"{target} exists already: choose another name, a backup is never written over.")
    if not target.parent.is_dir():
        raise BackupError(f"There is no folder {target.parent}: make it first.")
    installation = Installation.identity()
    engine = configured_engine()
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=target.parent) as folder:
        copy = Path(folder, "database")
        made_at = now()  # before the copy: whatever it does not hold is younger
        migrations = engine.copy(copy)
        about = About(
            made_at=made_at,
            vendor=engine.vendor,
            installation=installation,
            migrations=migrations,
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
