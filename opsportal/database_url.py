"""From DATABASE_URL to Django's database settings."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from opsportal.env_readers import SettingError

EXAMPLES = "sqlite:////srv/opsportal/opsportal.sqlite3 or postgresql://user:password@server:5432/opsportal"
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
CONNECT_SECONDS = 5
# What may stand behind the question mark; all of it is libpq's, and all but `host` goes to it as it is.
TEXT_OPTIONS = ("host", "application_name", "sslcert", "sslkey", "sslrootcert", "target_session_attrs")
OPTIONS = (*TEXT_OPTIONS, "connect_timeout", "sslmode")
# Of each session. An end of the worker's machine or its network must not keep a run's row locked: the server
# ends a transaction that stands still, and notices within half a minute that nobody is left.
SESSION = {
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "20s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
}
# Of our end of the connection, for the same reason: a server that is gone without a word.
KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


@dataclass(frozen=True, slots=True)
class PostgreSQLPlace:
    """Where a PostgreSQL database is and how to log in; `host` is a name, an address or a socket's folder."""

    name: str
    user: str
    host: str
    port: int | None
    password: str = field(repr=False)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """By a socket of this machine: nobody can listen on the way."""
        return not self.host or self.host.startswith("/")


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
        raise SettingError(
            f"DATABASE_URL cannot be read: write it like {EXAMPLES}. In user and password, write characters "
            "such as @ : / # ? % as %40 %3A %2F %23 %3F %25."
        ) from None
    if parts.scheme == "sqlite":
        if parts.netloc or len(parts.path) < 2:
            raise SettingError("DATABASE_URL must name a file: sqlite:////absolute/path (four slashes).")
        return _sqlite(Path("/", unquote(parts.path[1:])), data_dir)
    if parts.scheme in {"postgresql", "postgres"}:
        return _postgresql(read_place(parts, port))
    raise SettingError(f"DATABASE_URL is for neither SQLite nor PostgreSQL: write it like {EXAMPLES}.")


def read_place(parts: SplitResult, port: int | None) -> PostgreSQLPlace:
    """The parts of a PostgreSQL URL. Raises SettingError for one that is missing or not understood."""
    options = _options(parts.query)
    # Not `hostname`, which turns a folder into small letters.
    address = parts.netloc.rpartition("@")[2].removesuffix(f":{port}").removesuffix(":")
    host = unquote(address.removeprefix("[").removesuffix("]"))
    if host and "host" in options:
        raise SettingError("DATABASE_URL names the server twice, before the path and as `host`: keep one.")
    if parts.fragment:
        raise SettingError("DATABASE_URL has a `#`: in a password or a name, write it as %23.")
    name = unquote(parts.path.removeprefix("/"))
    if not name or "/" in name:
        raise SettingError(f"DATABASE_URL names no database: write it like {EXAMPLES}.")
    user = unquote(parts.username or "")
    if not user:
        raise SettingError(f"DATABASE_URL names no user: write it like {EXAMPLES}.")
    return PostgreSQLPlace(
        name=name,
        user=user,
        host=host or options.pop("host", ""),
        port=port,
        password=unquote(parts.password or ""),
        options=options,
    )


def _options(query: str) -> dict[str, Any]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise SettingError("DATABASE_URL: after the `?`, write options like sslmode=verify-full.") from None
    options: dict[str, Any] = dict(pairs)
    for name, value in options.items():
        if name not in OPTIONS:
            # Not repeated: it may be the rest of a password with a question mark in it.
            raise SettingError(f"DATABASE_URL has an unknown option after `?`; known: {', '.join(OPTIONS)}.")
        if not value:
            raise SettingError(f"DATABASE_URL gives {name} no value.")
    if options.get("sslmode", "prefer") not in SSL_MODES:
        raise SettingError(f"DATABASE_URL: sslmode is one of {', '.join(SSL_MODES)}.")
    seconds = options.get("connect_timeout", str(CONNECT_SECONDS))
    if not seconds.isascii() or not seconds.isdigit() or not 1 <= int(seconds) <= 60:
        raise SettingError("DATABASE_URL: connect_timeout is a whole number of seconds, 1 to 60.")
    return options | {"connect_timeout": int(seconds)}


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


def _postgresql(place: PostgreSQLPlace) -> dict[str, Any]:
    if find_spec("psycopg") is None:
        raise SettingError(
            "DATABASE_URL is for PostgreSQL, whose driver is not installed: pip install -r requirements.txt"
        )
    session = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": place.name,
        "USER": place.user,
        "PASSWORD": place.password,
        "HOST": place.host,
        "PORT": place.port or "",
        "OPTIONS": {"application_name": "opsportal", **KEEPALIVE, "options": session, **place.options},
        # Each request of a page opens its own and closes it. The threads that work all the time keep theirs;
        # see docs/deploy.md, "Connections".
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
    }
