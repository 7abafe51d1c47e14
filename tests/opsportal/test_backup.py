"""`backup`, `restore` and `unfreeze`, as an administrator types them."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from opsportal.backups.archive import About, BackupError, pack, unpack
from opsportal.data_directory import read_env_file
from tests.opsportal.portal import MANAGE, product_environment

ADD_SECRET = """
from credentials.models import Credential
from credentials.secret import Secret
from credentials.canary import verify_keys
verify_keys()
Credential(name="web", kind="password", username="ann").set_secrets(password=Secret("kept-through-it-4711"))
"""
READ_SECRET = """
from credentials.models import Credential
print(Credential.objects.get().secrets().password.reveal())
"""


def manage(data: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(MANAGE), *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        env=product_environment(data),
        check=False,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installation `data`, its `backup`, and its `keys`."""
    folder = tmp_path_factory.mktemp("backup")
    assert manage(folder / "data", "migrate").returncode == 0
    assert manage(folder / "data", "shell", stdin=ADD_SECRET).returncode == 0
    done = manage(folder / "data", "backup", str(folder / "backup"), "--keys", str(folder / "keys"))
    assert done.returncode == 0, done.stderr
    return folder


def with_about(made: Path, target: Path, **changes: object) -> Path:
    """The backup with other things said about it."""
    database = target.with_suffix(".database")
    about = unpack(made / "backup", database)
    pack(replace(about, **changes), database, target)  # type: ignore[arg-type]
    return target


def test_a_restored_portal_has_its_secrets_and_is_frozen_until_somebody_says(
    made: Path, tmp_path: Path
) -> None:
    done = manage(tmp_path / "new", "restore", str(made / "backup"), "--keys", str(made / "keys"))
    assert done.returncode == 0, done.stderr
    assert "The portal is frozen" in done.stdout
    assert manage(tmp_path / "new", "shell", stdin=READ_SECRET).stdout.endswith("kept-through-it-4711\n")
    assert "restored from a backup of" in manage(tmp_path / "new", "unfreeze").stdout
    assert "not frozen" in manage(tmp_path / "new", "unfreeze").stdout


def test_the_keys_are_in_no_backup_and_that_is_said(made: Path, tmp_path: Path) -> None:
    done = manage(made / "data", "backup", str(tmp_path / "plain"))
    assert "THE KEYS ARE NOT IN THIS BACKUP" in done.stderr
    with tarfile.open(tmp_path / "plain") as tar:
        content = b"".join(stream.read() for m in tar if (stream := tar.extractfile(m)) is not None)
    for value in read_env_file(made / "data").values():
        assert value.encode() not in content
    assert b"kept-through-it-4711" not in content
    assert (tmp_path / "plain").stat().st_mode & 0o777 == 0o600
    assert (made / "keys").stat().st_mode & 0o777 == 0o600


def test_a_backup_is_never_written_over(made: Path) -> None:
    before = (made / "backup").read_bytes()
    done = manage(made / "data", "backup", str(made / "backup"))
    assert done.returncode == 1
    assert "exists already" in done.stderr
    assert (made / "backup").read_bytes() == before


def test_a_database_that_is_there_is_replaced_only_when_asked_and_kept(made: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(made / "data", data)
    refused = manage(data, "restore", str(made / "backup"))
    assert (refused.returncode, "--replace" in refused.stderr) == (1, True)
    assert manage(data, "restore", str(made / "backup"), "--replace").returncode == 0
    (kept,) = data.glob("opsportal.sqlite3.before-restore-*[0-9]")
    with closing(sqlite3.connect(kept)) as connection:
        assert connection.execute("SELECT name FROM credentials_credential").fetchall() == [("web",)]


def test_a_restore_without_keys_says_how_to_give_them(made: Path, tmp_path: Path) -> None:
    refused = manage(tmp_path / "new", "restore", str(made / "backup"))
    assert refused.returncode == 1
    assert "--keys FILE" in refused.stderr
    assert not (tmp_path / "new").exists()


def test_other_keys_than_the_backups_are_refused_by_name_and_nothing_is_written(
    made: Path, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong"
    key = Fernet.generate_key().decode()
    wrong.write_text(f"OPSPORTAL_SECRET_KEY={'abcdefghij' * 6}\nOPSPORTAL_ENCRYPTION_KEYS={key}\n")
    refused = manage(tmp_path / "new", "restore", str(made / "backup"), "--keys", str(wrong))
    assert refused.returncode == 1
    assert "do not read this backup" in refused.stderr
    assert key not in refused.stderr
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["up.lock"]


def test_a_backup_of_a_newer_version_is_refused(made: Path, tmp_path: Path) -> None:
    newer = with_about(made, tmp_path / "newer", migrations=("automation.9999_from_the_future",))
    refused = manage(tmp_path / "new", "restore", str(newer), "--keys", str(made / "keys"))
    assert refused.returncode == 1
    assert "newer version of OpsPortal (it has automation.9999_from_the_future)" in refused.stderr


def test_a_damaged_backup_is_refused(made: Path, tmp_path: Path) -> None:
    about = unpack(made / "backup", tmp_path / "database")
    with (tmp_path / "database").open("r+b") as database:
        database.seek(8192)
        database.write(b"damage")
    pack(about, tmp_path / "database", tmp_path / "damaged")
    with pytest.raises(BackupError, match="its checksum is wrong"):
        unpack(tmp_path / "damaged", tmp_path / "again")


@pytest.mark.parametrize("cut", [0, 100, 5000])
def test_half_a_backup_is_refused(made: Path, tmp_path: Path, cut: int) -> None:
    (tmp_path / "half").write_bytes((made / "backup").read_bytes()[:cut])
    with pytest.raises(BackupError, match="cannot be read as a backup"):
        unpack(tmp_path / "half", tmp_path / "database")


def test_a_backup_of_another_format_is_refused(tmp_path: Path) -> None:
    text = json.dumps({"format": 2}).encode()
    with tarfile.open(tmp_path / "odd", "w:gz") as tar:
        member = tarfile.TarInfo("about.json")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    with pytest.raises(BackupError, match="format is 2"):
        unpack(tmp_path / "odd", tmp_path / "database")


def test_what_is_about_a_backup_survives_the_file(made: Path, tmp_path: Path) -> None:
    about = unpack(made / "backup", tmp_path / "database")
    assert isinstance(about, About)
    assert about.vendor == "sqlite"
    assert about.size == (tmp_path / "database").stat().st_size
    assert any(name.startswith("credentials.") for name in about.migrations)
