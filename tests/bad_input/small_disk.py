"""A portal whose data directory is a small disk of its own, and one target that writes down what ran."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from opsportal.data_directory import prepare
from tests.libraries.sshd import Sshd
from tests.opsportal.portal import MANAGE, Portal

DISK = "64m"


class SmallDisk:
    """A running portal with one trusted target in the group web, and `token` for whoever may run things."""

    def __init__(self, folder: Path, target: Sshd) -> None:
        self.data = folder / "data"
        self.target = target
        self.portal = Portal(self.data)
        self.token = ""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.portal.port}"

    def start(self) -> None:
        entry = {
            "name": "web1",
            "address": "127.0.0.1",
            "port": self.target.port,
            "user": "root",
            "private_key": str(self.target.folder / "login"),
            "host_key": self.target.host_key(),
            "groups": ["web"],
        }
        inventory = self.target.folder / "inventory.json"
        inventory.write_text(json.dumps({"hosts": [entry]}))
        prepare(self.data, {})
        code = f"from tests.on_postgresql.seed import seed; seed({str(inventory)!r})"
        command = [sys.executable, str(MANAGE), "shell", "--no-imports", "-c", code]
        done = subprocess.run(
            command, env=self.portal.environment, capture_output=True, text=True, check=True, timeout=120
        )
        self.token = done.stdout.strip()
        self.portal.start_and_wait()

    def end(self) -> None:
        if self.portal.process is not None:
            self.portal.end()
        self.portal.clean_up()

    @property
    def journal(self) -> list[str]:
        """The steps that ran on the target, in that order."""
        file = self.target.home / "journal"
        return file.read_text().split() if file.exists() else []

    @contextmanager
    def full(self) -> Iterator[None]:
        """Not a byte is left on the disk of the portal."""
        filler = self.data / "filler"
        with filler.open("wb", buffering=0) as file:
            for piece in (b"x" * 65536, b"x" * 512, b"x"):
                fill(file.fileno(), piece)
        try:
            yield
        finally:
            filler.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Somebody else writes to the database and does not let go."""
        with closing(sqlite3.connect(self.data / "opsportal.sqlite3", timeout=20)) as other:
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


@contextmanager
def disk(place: Path, size: str = DISK) -> Iterator[Path]:
    """A disk in memory, mounted for as long as the block lasts. Needs root."""
    place.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@contextmanager
def portal_on_a_small_disk(folder: Path) -> Iterator[SmallDisk]:
    (folder / "target").mkdir()
    target = Sshd(folder / "target")
    try:
        with disk(folder / "data"):
            made = SmallDisk(folder, target)
            try:
                made.start()
                yield made
            finally:
                made.end()
    finally:
        target.stop()


def definition(steps: int, *, output: int = 200_000) -> str:
    """A workflow of steps of a second that write their name down, and print so many bytes."""
    script = 'echo {name} >> "$HOME/journal"; head -c {output} /dev/zero | tr "\\0" {letter}; sleep 1'
    return json.dumps(
        {
            "name": "write-it-down",
            "parameters": {"text": {"type": "string", "required": False}},
            "steps": [
                {
                    "name": f"s{number}",
                    "run": {"bash": script.format(name=f"s{number}", output=output, letter=number % 10)},
                }
                for number in range(1, steps + 1)
            ],
        }
    )
