"""Changing the encryption key at work."""

from __future__ import annotations

import fcntl
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django.fixtures import Settings

from credentials.models import Credential
from credentials.secret import Secret
from opsportal.data_directory import prepare, read_env_file
from opsportal.encryption_keys import NAME, KeyFile, LiveKeys, key_file
from opsportal.start_checks import require_keys
from tests.credentials.conftest import CANARY, make, stored_column
from tests.opsportal.portal import product_environment


@pytest.fixture
def kept(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> KeyFile:
    """The keys in a `.env`, as `up` makes it."""
    monkeypatch.delenv(NAME)
    prepare(tmp_path, {})
    file = KeyFile(tmp_path / ".env", is_env=True)
    settings.DATA_DIR = tmp_path
    settings.FIELD_ENCRYPTION_KEY = LiveKeys(file.read(), file)
    return file


def rotate(*options: str) -> str:
    out = io.StringIO()
    call_command("rotate_credentials", *options, stdout=out)
    return out.getvalue()


def test_a_rotation_killed_anywhere_under_load_leaves_every_secret_readable(tmp_path: Path) -> None:
    prepare(tmp_path / "data", {})
    ended = subprocess.run(
        [sys.executable, "-m", "tests.opsportal.rotation_under_load", "36"],
        cwd=django_settings.BASE_DIR,
        env=product_environment(tmp_path / "data", DJANGO_SETTINGS_MODULE="opsportal.settings"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout)
    assert figures["outdated"] == 0
    assert figures["unreadable"] == []
    assert figures["cut"] > 12
    assert figures["keys"] > 1
    assert min(figures["readings"], figures["edits"]) > 100


@pytest.mark.django_db
def test_a_new_key_comes_first_and_the_command_tells_when_the_old_one_may_go(kept: KeyFile) -> None:
    credential, (old,) = make(), kept.read()
    said = rotate("--new-key")
    new, second = kept.read()
    assert second == old
    assert "Key 1" in said
    assert "The older keys may go" in said
    assert new not in said
    kept.write([new])
    assert Credential.objects.get(pk=credential.pk).secrets().password == Secret(CANARY)


@pytest.mark.django_db
def test_a_new_key_changes_nothing_else_in_the_file(kept: KeyFile) -> None:
    before = read_env_file(kept.path.parent)
    rotate("--new-key")
    after = read_env_file(kept.path.parent)
    assert after.keys() == before.keys()
    assert after["OPSPORTAL_SECRET_KEY"] == before["OPSPORTAL_SECRET_KEY"]
    assert kept.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.django_db
def test_a_running_process_uses_a_key_that_was_added_to_the_file(kept: KeyFile) -> None:
    new = Fernet.generate_key().decode()
    kept.write([new, *kept.read()])
    credential = make()
    kept.write([new])
    assert Credential.objects.get(pk=credential.pk).secrets().password == Secret(CANARY)


@pytest.mark.django_db
def test_a_file_that_somebody_broke_leaves_the_known_keys_in_use(kept: KeyFile) -> None:
    credential = make()
    kept.write(["not a key"])
    assert Credential.objects.get(pk=credential.pk).secrets().password == Secret(CANARY)


def test_keys_of_a_file_of_their_own_are_kept_there(tmp_path: Path) -> None:
    first, second = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    (tmp_path / "keys").write_text(first)
    file = key_file({f"{NAME}_FILE": str(tmp_path / "keys")}, tmp_path)
    assert file is not None
    file.write([second, first])
    assert file.read() == [second, first]
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600


@pytest.mark.django_db
def test_keys_of_the_environment_are_changed_by_people_who_are_told_how() -> None:
    with pytest.raises(CommandError, match="as the last of OPSPORTAL_ENCRYPTION_KEYS wherever"):
        rotate("--new-key")


@pytest.mark.django_db
def test_secrets_that_no_key_reads_are_named_and_the_rest_is_rotated(settings: Settings) -> None:
    lost = make("lost")
    settings.FIELD_ENCRYPTION_KEY = [Fernet.generate_key().decode()]
    kept = make("kept")
    before = stored_column(kept.pk)
    settings.FIELD_ENCRYPTION_KEY = [Fernet.generate_key().decode(), *settings.FIELD_ENCRYPTION_KEY]
    with pytest.raises(CommandError, match=rf"credentials\.credential\.sealed row {lost.pk}\..*take no key"):
        rotate()
    assert stored_column(kept.pk) != before
    assert Credential.objects.get(pk=kept.pk).secrets().password == Secret(CANARY)


@pytest.mark.django_db
def test_the_check_tells_what_is_left_and_changes_nothing(settings: Settings) -> None:
    credential = make()
    settings.FIELD_ENCRYPTION_KEY = [Fernet.generate_key().decode(), *settings.FIELD_ENCRYPTION_KEY]
    before = stored_column(credential.pk)
    assert "before you take any key away" in rotate("--check")
    assert stored_column(credential.pk) == before


@pytest.mark.django_db
def test_a_start_names_single_secrets_that_no_key_reads(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    lost = make("lost")
    settings.FIELD_ENCRYPTION_KEY = [Fernet.generate_key().decode()]
    from_here = make("younger")
    lost_row = Credential.objects.filter(pk=lost.pk)
    kept = Credential.objects.exclude(pk=lost.pk)
    assert kept.get() == from_here
    sealed = lost_row.values_list("sealed", flat=True).get()
    lost_row.delete()
    require_keys()
    Credential.objects.bulk_create([Credential(name="lost", kind="password", username="a", sealed=sealed)])
    require_keys()
    assert "No configured key reads: credentials.credential.sealed row" in caplog.text


def test_only_one_rotation_works_on_a_data_directory(kept: KeyFile) -> None:
    descriptor = os.open(kept.path.parent / "rotate.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(CommandError, match="Another rotation is at work"):
            rotate()
    finally:
        os.close(descriptor)
