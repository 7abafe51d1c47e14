"""DATABASE_URL."""

from pathlib import Path

import pytest

from opsportal.database_url import database_settings
from opsportal.env_readers import EnvReader, SettingError

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


def test_a_postgresql_url_gives_each_of_its_parts() -> None:
    url = "postgresql://ops%40team:p%3Aw%2F%23@DB.example.org:5433/ops%20portal?sslmode=verify-full"
    settings = database_settings(url, DATA)
    assert settings["ENGINE"] == "django.db.backends.postgresql"
    assert (settings["USER"], settings["PASSWORD"]) == ("ops@team", "p:w/#")
    assert (settings["HOST"], settings["PORT"], settings["NAME"]) == ("DB.example.org", 5433, "ops portal")
    assert settings["OPTIONS"]["sslmode"] == "verify-full"


def test_a_transaction_that_stands_still_is_ended_by_the_server() -> None:
    options = database_settings("postgresql://u@h/d", DATA)["OPTIONS"]
    assert "-c idle_in_transaction_session_timeout=10s" in options["options"]
    assert options["connect_timeout"] == 5


@pytest.mark.parametrize("address", ["%2Frun%2FPostgreSQL", "", "[2001:db8::1]", "[2001:db8::1]:5432"])
def test_the_server_may_be_a_folder_with_its_socket_or_an_ipv6_address(address: str) -> None:
    more = "" if address else "?host=/run/PostgreSQL"
    host = database_settings(f"postgresql://u@{address}/d{more}", DATA)["HOST"]
    assert host == ("2001:db8::1" if "db8" in address else "/run/PostgreSQL")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://u:canary@h/d", "neither SQLite nor PostgreSQL"),
        ("postgresql+psycopg://u:canary@h/d", "neither SQLite nor PostgreSQL"),
        ("postgresql://u:canary@h:port/d", "cannot be read"),
        ("postgresql://u:canary@[::1/d", "cannot be read"),
        ("postgres://u:canary@h", "names no database"),
        ("postgresql://h/canary", "names no user"),
        ("postgresql://u:canary@h/d?host=/run", "twice"),
        ("postgresql://u:canary@h/d?canary=1", "unknown option"),
        ("postgresql://u:canary@h/d?canary", "write options like"),
        ("postgresql://u:canary@h/d?sslmode=canary", "sslmode is one of"),
        ("postgresql://u:canary@h/d?sslrootcert=", "gives sslrootcert no value"),
        ("postgresql://u:canary@h/d?connect_timeout=canary", "1 to 60"),
        ("postgresql://u@h/d#canary", "%23"),
    ],
)
def test_a_bad_url_is_refused_in_words_without_showing_its_password(url: str, says: str) -> None:
    with pytest.raises(SettingError) as error:
        database_settings(url, DATA)
    assert says in str(error.value)
    assert "canary" not in str(error.value)


def test_the_url_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://u:secret@h/d\n")
    env = EnvReader({"DATABASE_URL_FILE": str(tmp_path / "url")})
    assert database_settings(env.secret("DATABASE_URL"), DATA)["PASSWORD"] == "secret"
