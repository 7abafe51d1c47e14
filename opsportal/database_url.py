"""From DATABASE_URL to Django's database settings."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from opsportal.env_readers import SettingError

EXAMPLES = "sqlite:////srv/opsportal/opsportal.sqlite3 or postgresql://user:password@server:5432/opsportal"


def database_settings(url: str, data_dir: Path) -> dict[str, Any]:
    """Settings of the default database; without a URL, SQLite in the data directory.

    Raises SettingError, whose message never holds the URL: it may contain a password.
    """
    if not url:
        return _sqlite(data_dir / "opsportal.sqlite3", data_dir)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise SettingError(f"DATABASE_URL cannot be read: write it like {EXAMPLES}.") from None
    if parts.scheme == "sqlite":
        if parts.netloc or len(parts.path) < 2:
            raise SettingError("DATABASE_URL must name a file: sqlite:////absolute/path (four slashes).")
        return _sqlite(Path("/", unquote(parts.path[1:])), data_dir)
    if parts.scheme in {"postgresql", "postgres"}:
        return _postgresql(parts, port)
    raise SettingError(f"DATABASE_URL is for neither SQLite nor PostgreSQL: write it like {EXAMPLES}.")


def _sqlite(file: Path, data_dir: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": file,
        "OPTIONS": {
            # IMMEDIATE: a deferred transaction that turns into a writer fails at once, whatever the timeout.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;",
        },
        # A file: other processes and connections of a test must see the same database.
        "TEST": {"NAME": data_dir / "test.sqlite3"},
    }


def _postgresql(parts: SplitResult, port: int | None) -> dict[str, Any]:
    if find_spec("psycopg") is None:
        raise SettingError(
            "DATABASE_URL is for PostgreSQL, whose driver is not installed: pip install 'psycopg[binary]'."
        )
    name = unquote(parts.path.removeprefix("/"))
    if not name:
        raise SettingError("DATABASE_URL names no database: write it like " + EXAMPLES)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": port or "",
        "OPTIONS": dict(parse_qsl(parts.query)),
        "CONN_HEALTH_CHECKS": True,
    }
