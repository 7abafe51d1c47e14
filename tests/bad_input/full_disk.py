"""A small disk, a full one, and a database that somebody else holds."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


@contextmanager
def disk(place: Path, size: str) -> Iterator[Path]:
    """A disk in memory, mounted for as long as the block lasts. Needs root."""
    place.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@contextmanager
def full(place: Path) -> Iterator[None]:
    """Not a byte is left on the disk."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        for piece in (b"x" * 65536, b"x" * 512, b"x"):
            fill(file.fileno(), piece)
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Somebody else writes to the SQLite database and does not let go."""
    with closing(sqlite3.connect(database, timeout=20)) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


def fill(descriptor: int, piece: bytes) -> None:
    try:
        while os.write(descriptor, piece):
            pass
    except OSError:
        return  # no space left on the device
