"""A real PostgreSQL server for tests: its own folder, a socket in it, an ordinary user's process."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import psycopg

OWNER = "opsportal"
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "120",
    "shared_buffers": "64MB",
    "lc_messages": "C",
}
# What was written survives the server's end, however it ends; not the machine's, and no test ends that.
QUICK = {"fsync": "off", "full_page_writes": "off"}


class PostgreSQL:
    """One server; `stop` and `start` may follow each other on the same data.

    Only who may enter the folder reaches the socket, so the server asks for no password.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.folder = folder
        self._settings = SETTINGS if durable else SETTINGS | QUICK
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def in_new_folder(cls, *, durable: bool = False) -> PostgreSQL:
        """A server that is not started yet; `durable` ones wait for the disk as those of a site do.

        A socket's path is short by nature, so the folder's is too.
        """
        return cls(Path(tempfile.mkdtemp(prefix="ops-pg-")), durable=durable)

    def url(self, database: str) -> str:
        """A DATABASE_URL."""
        return f"postgresql://{OWNER}@{quote(str(self.folder), safe='')}/{database}"

    def start(self) -> None:
        """Until it answers; the first time it makes the data. Does nothing while it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        if not self._data.exists():
            self._initialise()
        log = self.folder / "log"
        settings = [word for item in self._settings.items() for word in ("-c", "=".join(item))]
        command = [_binary("postgres"), "-D", str(self._data), "-k", str(self.folder), *settings]
        with log.open("ab") as output:
            user, group = _ordinary_user()
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, user=user, group=group, extra_groups=_none(user)
            )
        end = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.05)

    def stop(self, *, at_once: bool = True) -> None:
        """End every session; `at_once` as a crash would, without a last checkpoint."""
        if self._process is not None and self._process.poll() is None:
            # A clean stop of postgres is SIGINT, an immediate one SIGQUIT.
            self._process.send_signal(3 if at_once else 2)
            self._process.wait(30)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def execute(self, *statements: str) -> None:
        """Outside of any transaction, in the database that is always there."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def add_database(self, name: str) -> str:
        """A new and empty one; its DATABASE_URL."""
        self.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def databases(self) -> set[str]:
        """Their names."""
        with psycopg.connect(self.url("postgres")) as connection:
            return {str(name) for (name,) in connection.execute("SELECT datname FROM pg_database")}

    def _initialise(self) -> None:
        user, group = _ordinary_user()
        if user is not None and group is not None:
            os.chown(self.folder, user, group)
        command = [_binary("initdb"), "-D", str(self._data), "-U", OWNER, "--auth=trust", "--no-sync"]
        # The collation of most installations, so that order and comparison are what they meet there.
        command += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
        quiet = subprocess.DEVNULL
        subprocess.run(command, check=True, stdout=quiet, user=user, group=group, extra_groups=_none(user))

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


def _ordinary_user() -> tuple[int, int] | tuple[None, None]:
    """User and group to start it as; PostgreSQL refuses to be started by root."""
    if os.geteuid() != 0:
        return None, None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    return entry.pw_uid, entry.pw_gid


def _none(user: int | None) -> list[int] | None:
    """Whoever becomes another user leaves all further groups behind."""
    return None if user is None else []


def _binary(name: str) -> str:
    folders: Sequence[Path] = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")])
    found = shutil.which(name, path=path)
    if found is None:
        raise RuntimeError(f"these tests need PostgreSQL's {name}: apt-get install postgresql")
    return found
