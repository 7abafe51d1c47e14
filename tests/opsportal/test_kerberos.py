"""Realms of the settings become the configuration of the Kerberos libraries."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsportal.env_readers import EnvReader, SettingError
from opsportal.kerberos import SETTING, point_kerberos


def test_realms_are_written_to_a_file_that_the_libraries_are_pointed_to(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    env = EnvReader({SETTING: "EXAMPLE.COM=dc1.example.com dc2.example.com:88, OTHER.COM"})
    point_kerberos(env, tmp_path, environment)
    text = Path(environment["KRB5_CONFIG"]).read_text()
    assert "default_realm = EXAMPLE.COM" in text and "kdc = dc2.example.com:88" in text
    assert ".other.com = OTHER.COM" in text


def test_without_realms_the_system_decides(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    point_kerberos(EnvReader({}), tmp_path, environment)
    assert environment == {} and not list(tmp_path.iterdir())


def test_a_wrong_realm_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=SETTING):
        point_kerberos(EnvReader({SETTING: "example.com"}), tmp_path, {})
