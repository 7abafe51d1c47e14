"""PostgreSQL: a copy by its own programs, of one snapshot; put in place in one transaction."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from django.db import DatabaseError, connection, transaction

from opsportal.backups.archive import CHUNK, BackupError

SCHEMA = "public"
KEPT = "before_restore_"  # and the moment: the schemas in which `--replace` keeps what was there
CLIENT = "postgresql-client"  # the package of the programs
WORDS_KEPT = 1000
SETTING = re.compile(rb"SET (\w+) = ")
PROLOGUE = (b"--", b"SET ", b"SELECT pg_catalog.set_config(", b"\\restrict ")
# libpq's own variables: none of it appears in the list of processes.
VARIABLES = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "application_name": "PGAPPNAME",
}
# Only what is ours: no roles and rights of the server it comes from, no copies that a restore left.
WHOLE = (
    "--format=custom",
    "--compress=0",  # the archive around it is compressed
    "--no-owner",
    "--no-privileges",
    "--no-comments",
    "--no-publications",
    "--no-subscriptions",
    "--no-security-labels",
    "--no-tablespaces",
    f"--exclude-schema={KEPT}*",
)
STATEMENTS = ("--no-owner", "--no-privileges", "--no-comments", "--file=-")


class PostgreSQL:
    """The database of DATABASE_URL, and files as pg_dump writes them."""

    vendor = "postgresql"

    def staging(self, data_dir: Path) -> Path:
        return data_dir / ".opsportal.restoring"

    def copy(self, target: Path) -> tuple[str, ...]:
        """The whole database as it is at one moment, into a file; the migrations of that same moment.

        Writers go on meanwhile. Raises BackupError.
        """
        server = self._server()
        dump = _program("pg_dump", at_least=server)
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                # The copy is made from this transaction's snapshot, so it stands still until that is done.
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                cursor.execute("SELECT app, name FROM django_migrations ORDER BY app, name")
                found = tuple(f"{app}.{name}" for app, name in cursor.fetchall())
                cursor.execute("SELECT pg_export_snapshot()")
                ((snapshot,),) = cursor.fetchall()
                _run(dump, *WHOLE, f"--snapshot={snapshot}", f"--file={target}")
        except DatabaseError as error:
            raise BackupError(f"The database cannot be copied: {error}".strip()) from None
        return found

    def check(self, copied: Path) -> None:
        """Raise BackupError unless pg_restore reads it."""
        _run(_program("pg_restore"), "--list", str(copied), quiet=True)

    def sealed(self, copied: Path) -> str | None:
        """A sealed value out of the copy, of the canary or of any credential; None when there is none."""
        for table in ("credentials_keycanary", "credentials_credential"):
            for row in _rows(copied, table):
                if row["sealed"] != r"\N":
                    return row["sealed"]
        return None

    def occupied(self) -> str:
        """What is in the way of a restore; empty when nothing is. Raises BackupError."""
        self._server()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND usename = current_user AND pid <> pg_backend_pid()"
            )
            ((others,),) = cursor.fetchall()
            cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = %s", [SCHEMA])
            ((tables,),) = cursor.fetchall()
        if others:
            raise BackupError(
                f"{others} other session(s) of our user work on this database: stop web and workers on every "
                "machine first."
            )
        name = connection.settings_dict["NAME"]
        return f"The database {name} has tables: restore into an empty one (DATABASE_URL)" if tables else ""

    def put_in_place(self, copied: Path) -> None:
        """All of it or nothing; what was there stays, in a schema of its own. Raises BackupError."""
        kept = f"{KEPT}{datetime.now(UTC):%Y%m%dt%H%M%S}"
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_tables WHERE schemaname = %s LIMIT 1", [SCHEMA])
            aside = f"ALTER SCHEMA {SCHEMA} RENAME TO {kept};\nCREATE SCHEMA {SCHEMA};\n"
            before = aside if cursor.fetchone() else ""
            cursor.execute("SELECT name FROM pg_settings")
            settings = frozenset(str(name) for (name,) in cursor.fetchall())
        connection.close()
        command = (_program("pg_restore"), *STATEMENTS, str(copied))
        _feed(_program("psql"), before, Restore(command, settings))

    def _server(self) -> int:
        """The server's major version. Raises BackupError when it cannot be asked or keeps us elsewhere."""
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT current_setting('server_version_num')::int, current_schema()")
                ((version, schema),) = cursor.fetchall()
        except DatabaseError as error:
            raise BackupError(f"The database cannot be reached: {error}".strip()) from None
        if schema != SCHEMA:
            raise BackupError(f"The tables are in the schema {schema}; this copies only {SCHEMA}.")
        return int(version) // 10_000


def _program(name: str, *, at_least: int = 0) -> str:
    """Where the program is. Raises BackupError when it is missing or older than the server."""
    found = shutil.which(name)
    if found is None:
        raise BackupError(f"{name} is not installed: install PostgreSQL's programs ({CLIENT}).")
    told = subprocess.run([found, "--version"], env=_inherited(), capture_output=True, text=True, check=False)
    version = re.search(r"\) (\d+)", told.stdout)
    if version is None:
        raise BackupError(f"{found} does not tell its version: install PostgreSQL's programs ({CLIENT}).")
    if int(version[1]) < at_least:
        raise BackupError(
            f"{found} is of version {version[1]} and cannot copy a server of version {at_least}: install "
            f"{CLIENT}-{at_least}, and put its folder first on the PATH."
        )
    return found


def _run(program: str, *words: str, quiet: bool = False) -> None:
    """Raises BackupError with the program's own words."""
    with _environment() as (variables, descriptors), tempfile.TemporaryFile() as said:
        done = subprocess.run(
            [program, *words],
            env=variables,
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if quiet else said,
            stderr=said,
            check=False,
        )
        if done.returncode:
            raise _failed(program, said)


@dataclass(frozen=True, slots=True)
class Restore:
    """What writes the statements, and the settings that the server knows."""

    command: tuple[str, ...]
    settings: frozenset[str]


def _feed(psql: str, before: str, restore: Restore) -> None:
    """Give psql what pg_restore writes, in one transaction. Raises BackupError; then nothing is changed."""
    options = ("--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--file=-")
    with _environment() as (variables, descriptors), tempfile.TemporaryFile() as said:
        reads, writes = os.pipe()
        with os.fdopen(reads, "rb") as statements:
            reader = subprocess.Popen(
                [psql, *options],
                env=variables,
                pass_fds=descriptors,
                stdin=statements,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
        with os.fdopen(writes, "wb", buffering=0) as pipe:
            written = _write_statements(pipe, before, restore, said)
        if reader.wait() or not written:
            raise _failed("psql", said)


def _write_statements(pipe: IO[bytes], before: str, restore: Restore, said: IO[bytes]) -> bool:
    """Whether all was written; only then is the transaction given its end.

    Whichever of the programs dies before, this one too: the server undoes what has no end.
    """
    with subprocess.Popen(restore.command, env=_inherited(), stdout=subprocess.PIPE, stderr=said) as writer:
        try:
            pipe.write(f"BEGIN;\n{before}".encode())
            if writer.stdout is not None:
                pipe.writelines(_understood(writer.stdout, restore.settings))
                shutil.copyfileobj(writer.stdout, pipe, CHUNK)
            if writer.wait():
                return False
            pipe.write(b"COMMIT;\n")
        except BrokenPipeError:
            writer.kill()
            return False
    return True


def _understood(statements: IO[bytes], settings: frozenset[str]) -> Iterator[bytes]:
    """The lines up to the first that makes something, without settings that the server has not.

    Newer programs set what only newer servers know, and each time to what it is anyway.
    """
    for line in statements:
        found = SETTING.match(line)
        if found is None or found[1].decode() in settings:
            yield line
        if line.strip() and not line.startswith(PROLOGUE):
            return


def _rows(copied: Path, table: str) -> Iterator[Mapping[str, str]]:
    """The table's rows in the copy, as COPY writes them. Raises BackupError."""
    words = [_program("pg_restore"), "--data-only", f"--table={table}", "--file=-", str(copied)]
    done = subprocess.run(words, env=_inherited(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackupError(f"The database in the backup is damaged ({done.stderr.strip()[:WORDS_KEPT]}).")
    names: list[str] | None = None
    for line in done.stdout.split("\n"):
        if names is None:
            begin = re.match(r"COPY \S+ \((.*)\) FROM stdin;", line)
            names = begin[1].split(", ") if begin else None
        elif line == r"\.":
            return
        else:
            yield dict(zip(names, line.split("\t"), strict=True))


def _failed(program: str, said: IO[bytes]) -> BackupError:
    said.seek(0)
    words = said.read().decode(errors="replace").strip()[:WORDS_KEPT]
    return BackupError(f"{Path(program).name} failed; nothing was changed. It said: {words}")


def _inherited() -> dict[str, str]:
    """Our environment without what is ours alone: DATABASE_URL holds the password, others the keys."""
    own = ("OPSPORTAL_", "DATABASE_URL", "PGOPTIONS")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)}


@contextmanager
def _environment() -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """What leads a program to our database, and the descriptors that it needs.

    The password is in a file of libpq's form that has no name on any disk and ends with us.
    """
    settings: dict[str, Any] = connection.settings_dict
    parts = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGDATABASE": "NAME"}
    variables = _inherited() | {name: str(settings[part]) for name, part in parts.items() if settings[part]}
    variables |= {
        VARIABLES[name]: str(settings["OPTIONS"][name]) for name in VARIABLES if name in settings["OPTIONS"]
    }
    if not (password := str(settings["PASSWORD"])):
        yield variables, ()
        return
    variables.pop("PGPASSWORD", None)  # it would count for more than ours
    with os.fdopen(os.memfd_create("pgpass"), "w", encoding="utf-8") as file:
        escaped = password.replace("\\", "\\\\").replace(":", "\\:")
        file.write(f"*:*:*:*:{escaped}\n")
        file.flush()
        os.fchmod(file.fileno(), 0o600)
        variables["PGPASSFILE"] = f"/proc/self/fd/{file.fileno()}"
        yield variables, (file.fileno(),)
