"""The first start's keys."""

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from opsportal.data_directory import prepare, read_env_file, read_keys
from opsportal.env_readers import EnvReader, SettingError


def test_the_first_start_makes_two_independent_keys_for_the_owner_only(tmp_path: Path) -> None:
    data = tmp_path / "data"
    prepare(data, {})
    secret_key, encryption_keys = read_keys(EnvReader(read_env_file(data)), data)
    assert len(secret_key) >= 50
    Fernet(encryption_keys[0])
    assert encryption_keys[0] not in secret_key
    assert data.stat().st_mode & 0o777 == 0o700
    assert [file.name for file in data.iterdir()] == [".env"]


def test_later_starts_keep_the_keys(tmp_path: Path) -> None:
    prepare(tmp_path, {})
    keys = read_env_file(tmp_path)
    prepare(tmp_path, {})
    assert read_env_file(tmp_path) == keys


def test_keys_of_the_environment_are_not_written_down(tmp_path: Path) -> None:
    prepare(tmp_path, {"OPSPORTAL_SECRET_KEY": "x", "OPSPORTAL_ENCRYPTION_KEYS_FILE": "/run/secrets/keys"})
    assert not (tmp_path / ".env").exists()


def test_a_database_without_its_keys_gets_no_new_ones(tmp_path: Path) -> None:
    (tmp_path / "opsportal.sqlite3").touch()
    with pytest.raises(SettingError, match="put the keys back from a backup"):
        prepare(tmp_path, {})


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    prepare(tmp_path, {})
    (tmp_path / ".env").chmod(0o640)
    with pytest.raises(SettingError, match="chmod 600"):
        read_env_file(tmp_path)


@pytest.mark.parametrize("missing", ["OPSPORTAL_SECRET_KEY", "OPSPORTAL_ENCRYPTION_KEYS"])
def test_a_missing_key_is_named_with_the_fix(tmp_path: Path, missing: str) -> None:
    prepare(tmp_path, {})
    keys = read_env_file(tmp_path)
    del keys[missing]
    with pytest.raises(SettingError, match=rf"{missing} is not set. `./ops up` makes it"):
        read_keys(EnvReader(keys), tmp_path)


def test_a_data_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match="cannot be made"):
        prepare(tmp_path / "file" / "data", {})


def test_a_malformed_encryption_key_is_counted_not_shown(tmp_path: Path) -> None:
    keys = {
        "OPSPORTAL_SECRET_KEY": "x",
        "OPSPORTAL_ENCRYPTION_KEYS": f"{Fernet.generate_key().decode()},canary",
    }
    with pytest.raises(SettingError, match="Key 2 of OPSPORTAL_ENCRYPTION_KEYS") as error:
        read_keys(EnvReader(keys), tmp_path)
    assert "canary" not in str(error.value)
