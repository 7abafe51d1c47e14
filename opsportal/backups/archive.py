"""The file of a backup: a gzipped tar with what it is about, and the database."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

FORMAT = 1
ABOUT, DATABASE = "about.json", "database"
LARGEST_ABOUT = 1024 * 1024
CHUNK = 1024 * 1024


class BackupError(Exception):
    """A backup cannot be made or used. The text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a backup is of. `keys` are names of the encryption keys, not keys; `sha256` is the database's."""

    made_at: str
    vendor: str
    installation: str
    migrations: tuple[str, ...]
    keys: tuple[str, ...]
    sha256: str
    size: int
    format: int = FORMAT

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.made_at)


def checksum(file: Path) -> str:
    """SHA-256 of the file, as hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def pack(about: About, database: Path, target: Path) -> None:
    """Write the backup, whole or not at all, readable by its owner only. Raises OSError, FileExistsError."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as tar:
                text = json.dumps(asdict(about), indent=2).encode()
                member = tarfile.TarInfo(ABOUT)
                member.size = len(text)
                tar.addfile(member, io.BytesIO(text))
                tar.add(database, DATABASE)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(draft, target)  # unlike a rename, it never writes over another backup
    finally:
        draft.unlink(missing_ok=True)


def unpack(source: Path, database: Path) -> About:
    """Read the backup; its database goes into a new file.

    Of the archive only the two members are looked at. Raises BackupError for anything not as it was written.
    """
    try:
        with tarfile.open(source, mode="r:gz") as tar:
            about = _about(_member(tar, ABOUT).read(LARGEST_ABOUT))
            descriptor = os.open(database, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                shutil.copyfileobj(_member(tar, DATABASE), stream, CHUNK)
                stream.flush()
                os.fsync(stream.fileno())
    except (tarfile.TarError, EOFError, OSError, KeyError, ValueError, TypeError) as error:
        raise BackupError(
            f"{source} cannot be read as a backup ({error}). Take another copy of it."
        ) from None
    if database.stat().st_size != about.size or checksum(database) != about.sha256:
        raise BackupError(f"{source} is damaged: its checksum is wrong. Take another copy of it.")
    return about


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    stream = tar.extractfile(name)
    if stream is None:
        raise ValueError(f"{name} is no file")
    return stream


def _about(text: bytes) -> About:
    values = json.loads(text)
    if values.get("format") != FORMAT:
        raise BackupError(
            f"The backup's format is {values.get('format')!r}; this version of OpsPortal reads {FORMAT}. "
            "Restore it with the version that made it."
        )
    values |= {name: tuple(values[name]) for name in ("migrations", "keys")}
    return About(**values)
