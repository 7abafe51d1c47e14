"""Wrong, missing and malformed keys are told before anything runs; keys can be changed at work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from pytest_django.fixtures import Settings

from credentials.canary import NotEncrypted, WrongKey, verify_keys
from credentials.checks import check_keys
from credentials.columns import unsealed_rows
from credentials.keys import KeysUnusable
from credentials.models import Credential, KeyCanary
from credentials.rotation import rotate_keys
from credentials.secret import Secret
from tests.credentials.conftest import CANARY, make, stored_column, write_column


def test_good_keys_pass_the_check() -> None:
    assert check_keys(None) == []


@pytest.mark.parametrize("keys", [[], None, ""])
def test_missing_keys_are_a_check_error_that_says_how_to_make_one(settings: Settings, keys: object) -> None:
    settings.FIELD_ENCRYPTION_KEY = keys
    (error,) = check_keys(None)
    assert error.id == "credentials.E001"
    assert "Fernet.generate_key" in error.msg


@pytest.mark.parametrize("bad", ["short", CANARY + "=" * 8, "é" * 44])
def test_a_malformed_key_is_a_check_error_that_does_not_show_it(settings: Settings, bad: str) -> None:
    settings.FIELD_ENCRYPTION_KEY = [Fernet.generate_key().decode(), bad]
    (error,) = check_keys(None)
    assert error.id == "credentials.E002"
    assert error.msg.startswith("Key 2 ")
    assert bad not in error.msg


def test_manage_check_runs_it(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEY = []
    with pytest.raises(SystemCheckError, match=r"credentials\.E001"):
        call_command("check")


def test_a_process_with_a_malformed_key_does_not_start(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "opsportal.settings",
        "OPSPORTAL_DATA": str(tmp_path),
        "OPSPORTAL_ENCRYPTION_KEYS": CANARY,
    }
    ended = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=django_settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode != 0
    assert "Key 1 of OPSPORTAL_ENCRYPTION_KEYS is not a Fernet key" in ended.stderr
    assert CANARY not in ended.stdout + ended.stderr


# The canary


@pytest.mark.django_db
def test_the_first_start_makes_the_canary_and_later_ones_read_it() -> None:
    verify_keys()
    before = stored_column(1, "credentials_keycanary")
    verify_keys()
    assert KeyCanary.objects.count() == 1
    assert stored_column(1, "credentials_keycanary") == before


@pytest.mark.django_db
def test_a_start_with_another_key_is_refused_with_the_next_step(settings: Settings) -> None:
    verify_keys()
    settings.FIELD_ENCRYPTION_KEY = [Fernet.generate_key().decode()]
    with pytest.raises(WrongKey, match="Start with the keys that were in use"):
        verify_keys()


@pytest.mark.django_db
def test_a_lost_canary_is_not_made_anew_over_secrets_no_key_fits(
    credential: Credential, other_key: str
) -> None:
    with pytest.raises(WrongKey):
        verify_keys()
    assert not KeyCanary.objects.exists()


@pytest.mark.django_db
def test_a_lost_canary_is_made_anew_where_the_keys_fit(credential: Credential) -> None:
    verify_keys()
    assert KeyCanary.objects.exists()


@pytest.mark.django_db
def test_a_canary_of_plain_text_is_refused() -> None:
    verify_keys()
    write_column(1, "the keys fit", "credentials_keycanary")
    with pytest.raises(WrongKey):
        verify_keys()


@pytest.mark.django_db
def test_a_start_without_keys_is_refused(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEY = []
    with pytest.raises(KeysUnusable, match="OPSPORTAL_ENCRYPTION_KEYS is empty"):
        verify_keys()


@pytest.mark.django_db
def test_plain_text_in_a_secret_column_stops_the_start_and_names_the_row(credential: Credential) -> None:
    write_column(credential.pk, CANARY)
    with pytest.raises(NotEncrypted, match=rf"credentials\.credential\.sealed row {credential.pk}") as caught:
        verify_keys()
    assert CANARY not in str(caught.value)
    assert unsealed_rows() == [f"credentials.credential.sealed row {credential.pk}"]


# Changing the key


@pytest.mark.django_db
def test_rotation_brings_everything_under_the_first_key(credential: Credential, settings: Settings) -> None:
    verify_keys()
    old, new = settings.FIELD_ENCRYPTION_KEY[0], Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEY = [new, old]
    assert rotate_keys().rotated == 2
    settings.FIELD_ENCRYPTION_KEY = [new]
    verify_keys()
    rotated = Credential.objects.get()
    assert rotated.secrets().password == Secret(CANARY)
    assert (rotated.version, rotated.updated_at) == (1, credential.updated_at)


@pytest.mark.django_db
def test_a_second_rotation_has_nothing_to_do(credential: Credential, settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEY = [Fernet.generate_key().decode(), *settings.FIELD_ENCRYPTION_KEY]
    assert rotate_keys().rotated == 1
    before = stored_column(credential.pk)
    assert rotate_keys().rotated == 0
    assert stored_column(credential.pk) == before


@pytest.mark.django_db
def test_a_rotation_without_the_old_key_changes_nothing(credential: Credential, other_key: str) -> None:
    make("younger")
    before = stored_column(credential.pk)
    assert rotate_keys().unreadable == (f"credentials.credential.sealed row {credential.pk}",)
    assert stored_column(credential.pk) == before
