"""DATABASE_URL."""

from pathlib import Path

import pytest

from opsportal.database_url import database_settings
from opsportal.env_readers import SettingError

DATA = Path("/srv/data")


def test_without_a_url_the_database_is_sqlite_in_the_data_directory() -> None:
    settings = database_settings("", DATA)
    assert settings["NAME"] == DATA / "opsportal.sqlite3"
    assert settings["OPTIONS"]["transaction_mode"] == "IMMEDIATE"


def test_a_sqlite_url_names_an_absolute_file() -> None:
    assert database_settings("sqlite:////var/lib/ops%20portal.db", DATA)["NAME"] == Path(
        "/var/lib/ops portal.db"
    )
    with pytest.raises(SettingError, match="four slashes"):
        database_settings("sqlite://portal.db", DATA)


@pytest.mark.parametrize(
    "url", ["mysql://u:canary@h/d", "postgresql://u:canary@h:port/d", "postgres://u:canary@h"]
)
def test_a_bad_url_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(SettingError) as error:
        database_settings(url, DATA)
    assert "canary" not in str(error.value)
