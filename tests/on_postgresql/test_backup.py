"""`backup` and `restore` of a PostgreSQL database, by PostgreSQL's own programs."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from cryptography.fernet import Fernet
from django.conf import LazySettings
from django.db import connection

from automation.models import Installation, JobRun, RunStatus
from credentials.canary import verify_keys
from credentials.models import Credential
from credentials.secret import Secret
from opsportal.backups.archive import BackupError, checksum, pack, unpack
from opsportal.backups.making import make_backup
from opsportal.backups.restoring import restore
from tests.postgresql import PostgreSQL

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "for-nobody: a\\password"
Elsewhere = Callable[[str], AbstractContextManager[str]]


@pytest.fixture
def elsewhere(server: PostgreSQL) -> Iterator[Elsewhere]:
    """This process as one of another database, which is empty when it is first named."""
    made = []

    @contextmanager
    def at(name: str) -> Iterator[str]:
        if name not in made:
            made.append(name)
            server.add_database(name)
        ours = connection.settings_dict["NAME"]
        connection.close()
        connection.settings_dict["NAME"] = name
        try:
            yield server.url(name)
        finally:
            connection.close()
            connection.settings_dict["NAME"] = ours

    yield at
    for name in made:
        server.execute(f'DROP DATABASE "{name}"')


@pytest.fixture
def backup(run: JobRun, tmp_path: Path) -> Path:
    """Of a portal with a credential and a run that waits."""
    del run
    verify_keys()
    Credential(name="web", kind="password", username="ann").set_secrets(password=Secret("kept-through-it"))
    make_backup(tmp_path / "backup")
    return tmp_path / "backup"


@pytest.fixture
def guarded(server: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """We log in with a password that the server asks for."""
    rules = server.folder / "data" / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"local all guarded scram-sha-256\n{before}")
    password = PASSWORD.replace("'", "''")
    server.execute(f"CREATE ROLE guarded SUPERUSER LOGIN PASSWORD '{password}'", "SELECT pg_reload_conf()")
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "USER", "guarded")
    monkeypatch.setitem(connection.settings_dict, "PASSWORD", PASSWORD)
    yield
    connection.close()
    rules.write_text(before)
    server.execute("SELECT pg_reload_conf()", "DROP ROLE guarded")


def with_about(backup: Path, **changes: object) -> Path:
    """The backup with other things said about it."""
    database, changed = backup.with_suffix(".database"), backup.with_suffix(".changed")
    about = unpack(backup, database)
    pack(replace(about, **changes), database, changed)  # type: ignore[arg-type]
    return changed


def tables(url: str, schema: str = "public") -> int:
    with psycopg.connect(url) as session:
        query = "SELECT count(*) FROM pg_tables WHERE schemaname LIKE %s"
        ((number,),) = session.execute(query, [schema]).fetchall()
        return int(number)


def program(folder: Path, name: str, text: str) -> None:
    """A program that is found before all others of its name."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_a_restored_portal_has_its_rows_and_secrets_and_is_frozen(
    backup: Path, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    with elsewhere("restored"):
        about, settled = restore(backup, tmp_path / "data", replace=False, keys=None)
        password = Credential.objects.get().secrets().password
        assert password is not None and password.reveal() == "kept-through-it"
        assert "restored from a backup of" in Installation.frozen()
        assert JobRun.objects.get().status in {RunStatus.ERRORED, RunStatus.EXPIRED}
        # What is written from now on gets numbers of its own.
        Credential.objects.create(name="db", kind="password", username="bob")
    assert about.vendor == "postgresql"
    assert settled.live + settled.waiting == 1
    assert not Installation.frozen(), "the portal that was copied goes on"
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["up.lock"]


@pytest.mark.usefixtures("guarded")
def test_the_password_reaches_the_programs_in_no_argument_and_no_variable(
    elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify_keys()
    found = os.environ["PATH"]
    for name in ("pg_dump", "pg_restore", "psql"):
        seen = f'{{ printf "%s\\n" "$@"; env; }} >>"{tmp_path}/seen"'
        program(tmp_path / "bin", name, f'{seen}\nPATH="{found}" exec {name} "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{found}")
    make_backup(tmp_path / "backup")
    with elsewhere("restored"):
        restore(tmp_path / "backup", tmp_path / "data", replace=False, keys=None)
    told = (tmp_path / "seen").read_text()
    assert "PGPASSFILE=/proc/self/fd/" in told
    assert "for-nobody" not in told
    assert os.environ["OPSPORTAL_ENCRYPTION_KEYS"] not in told


def test_a_backup_holds_no_key_and_no_open_secret(backup: Path) -> None:
    with tarfile.open(backup) as tar:
        content = b"".join(stream.read() for m in tar if (stream := tar.extractfile(m)) is not None)
    assert b"PGDMP" in content
    assert b"credentials_credential" in content
    assert b"kept-through-it" not in content
    assert os.environ["OPSPORTAL_ENCRYPTION_KEYS"].encode() not in content


def test_a_database_with_tables_is_replaced_only_when_asked_and_then_kept_beside(
    backup: Path, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    with elsewhere("restored") as url:
        restore(backup, tmp_path / "data", replace=False, keys=None)
        Credential.objects.all().delete()
        with pytest.raises(BackupError, match=r"has tables: restore into an empty one .* or give --replace"):
            restore(backup, tmp_path / "data", replace=False, keys=None)
        restore(backup, tmp_path / "data", replace=True, keys=None)
        assert Credential.objects.get().name == "web"
        make_backup(tmp_path / "second")
    assert tables(url, r"before\_restore\_%") == tables(url)
    with elsewhere("further") as url:
        restore(tmp_path / "second", tmp_path / "data", replace=False, keys=None)
    assert tables(url, r"before\_restore\_%") == 0, "what was put aside is in no backup"


def test_nothing_is_restored_under_somebody_who_works(
    backup: Path, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    with (
        elsewhere("restored") as url,
        psycopg.connect(url),
        pytest.raises(BackupError, match="stop web and workers on every machine"),
    ):
        restore(backup, tmp_path / "data", replace=True, keys=None)


def test_programs_newer_than_the_server_may_set_what_it_does_not_know(
    backup: Path, elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = os.environ["PATH"]
    newer = f'echo "SET not_of_this_server = 0;"\nPATH="{found}" exec pg_restore "$@"'
    program(tmp_path / "bin", "pg_restore", newer)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{found}")
    with elsewhere("restored"):
        restore(backup, tmp_path / "data", replace=False, keys=None)
        assert Credential.objects.get().name == "web"


def test_half_a_copy_changes_nothing(backup: Path, elsewhere: Elsewhere, tmp_path: Path) -> None:
    about = unpack(backup, tmp_path / "whole")
    half = tmp_path / "half"
    half.write_bytes((tmp_path / "whole").read_bytes()[: about.size * 9 // 10])
    pack(replace(about, size=half.stat().st_size, sha256=checksum(half)), half, tmp_path / "broken")
    with elsewhere("restored") as url:
        restore(backup, tmp_path / "data", replace=False, keys=None)
        before = tables(url)
        with pytest.raises(BackupError, match=r"nothing was changed|damaged"):
            restore(tmp_path / "broken", tmp_path / "data", replace=True, keys=None)
        assert (tables(url), tables(url, r"before\_restore\_%")) == (before, 0)
        assert Credential.objects.get().name == "web"


def test_other_keys_than_the_backups_are_refused_and_nothing_is_written(
    backup: Path, elsewhere: Elsewhere, tmp_path: Path, settings: LazySettings
) -> None:
    settings.FIELD_ENCRYPTION_KEY = [Fernet.generate_key().decode()]
    with elsewhere("restored") as url:
        with pytest.raises(BackupError, match="do not read this backup"):
            restore(backup, tmp_path / "data", replace=False, keys=None)
        assert tables(url) == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"migrations": ("automation.9999_from_the_future",)}, "made by a newer version of OpsPortal"),
        ({"vendor": "sqlite"}, "The backup is of SQLite, this installation uses PostgreSQL"),
    ],
)
def test_a_backup_that_does_not_fit_is_refused(
    backup: Path, elsewhere: Elsewhere, tmp_path: Path, change: dict[str, object], says: str
) -> None:
    changed = with_about(backup, **change)
    with elsewhere("restored") as url:
        with pytest.raises(BackupError, match=says):
            restore(changed, tmp_path / "data", replace=False, keys=None)
        assert tables(url) == 0


def test_a_pg_dump_that_is_missing_or_too_old_is_told_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(BackupError, match=r"pg_dump is not installed: .*postgresql-client"):
        make_backup(tmp_path / "backup")
    program(tmp_path / "bin", "pg_dump", "echo 'pg_dump (PostgreSQL) 9.6.24'")
    with pytest.raises(BackupError, match=r"is of version 9 and cannot copy a server of version \d\d"):
        make_backup(tmp_path / "backup")
    assert [file.name for file in tmp_path.iterdir()] == ["bin"]
