"""The demo's folder: emptied at each start, whatever a practice host left in it, and nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from opsportal.demo.state import fresh_state
from opsportal.env_readers import SettingError


def test_an_installations_settings_do_not_reach_a_demo(tmp_path: Path) -> None:
    environment = {
        "DATABASE_URL": "sqlite:////srv/real.sqlite3",
        "OPSPORTAL_ENCRYPTION_KEYS_FILE": "/srv/keys",
        "OPSPORTAL_DATA": "/srv/real",
        "OPSPORTAL_PORT": "3100",
        "PATH": "/usr/bin",
    }
    fresh_state(tmp_path / "demo", environment)
    assert environment == {
        "OPSPORTAL_DATA": str(tmp_path / "demo"),
        "OPSPORTAL_PORT": "3100",
        "PATH": "/usr/bin",
    }


def test_what_a_practice_host_left_is_removed_and_no_link_is_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    left = tmp_path / "demo" / "practice" / "root"
    left.mkdir(parents=True)
    (tmp_path / "demo" / ".opsportal-demo").touch()
    (left / "link").symlink_to(outside)
    (tmp_path / "demo" / "link").symlink_to(outside)
    (left / "closed" / "inner").mkdir(parents=True)
    (left / "closed" / "inner" / "file").touch()
    (left / "closed" / "inner").chmod(0)
    (left / "closed").chmod(0)
    fresh_state(tmp_path / "demo", {})
    assert sorted(file.name for file in (tmp_path / "demo").iterdir()) == [".opsportal-demo", "up.lock"]
    assert (outside / "precious").exists()


def test_a_link_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "demo").symlink_to(tmp_path / "real")
    with pytest.raises(SettingError, match="not a folder"):
        fresh_state(tmp_path / "demo", {})
