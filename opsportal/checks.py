"""System checks: settings that would lose work, run it twice or give secrets away refuse the start."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cryptography.fernet import Fernet
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured

SHORTEST_SECRET_KEY = 50


@register
def queue(app_configs: Iterable[AppConfig] | None, **options: object) -> list[CheckMessage]:
    """django-q2's defaults run tasks twice; these values do not."""
    return list(_queue_problems(settings.Q_CLUSTER))


def _queue_problems(cluster: Mapping[str, Any]) -> Iterator[CheckMessage]:
    if cluster.get("orm") not in settings.DATABASES:
        yield Error(
            "The queue is not in the database.",
            hint="Q_CLUSTER['orm'] = 'default': a task is then stored together with what it is about.",
            id="opsportal.E001",
        )
    for name, values in {"": cluster, **cluster.get("ALT_CLUSTERS", {})}.items():
        values = {**cluster, **values}
        timeout, retry = values.get("timeout"), values.get("retry", 60)
        if not timeout or retry < 2 * timeout:
            yield Error(
                f"Queue {name or 'default'}: a task that still runs would be started a second time.",
                hint="Q_CLUSTER: `timeout`, and `retry` at least twice as long (it counts from the fetch).",
                id="opsportal.E002",
            )
        if not values.get("ack_failures") or values.get("max_attempts") != 1 or values.get("catch_up", True):
            yield Error(
                f"Queue {name or 'default'}: a task that fails would be repeated.",
                hint="Q_CLUSTER: ack_failures True, max_attempts 1, catch_up False.",
                id="opsportal.E003",
            )
        if not 0 < values.get("poll", 0.2) <= 1:
            yield Error(
                f"Queue {name or 'default'}: the pause between two looks at the queue is out of range.",
                hint="Q_CLUSTER['poll']: more than 0 and at most 1 second.",
                id="opsportal.E004",
            )
    missing = {"control", "execution"} - set(cluster.get("ALT_CLUSTERS", {}))
    if missing:
        yield Error(
            f"Queues without settings: {', '.join(sorted(missing))}.",
            hint="Q_CLUSTER['ALT_CLUSTERS']: `control` and `execution`; long work must not block control.",
            id="opsportal.E005",
        )


@register(Tags.database)
def sqlite(app_configs: Iterable[AppConfig] | None, **options: object) -> list[CheckMessage]:
    """Several processes write: without these options they fail on each other at once."""
    problems: list[CheckMessage] = []
    for alias, database in settings.DATABASES.items():
        if database["ENGINE"] != "django.db.backends.sqlite3":
            continue
        given = database.get("OPTIONS", {})
        if given.get("transaction_mode") != "IMMEDIATE" or given.get("timeout", 5) < 10:
            problems.append(
                Error(
                    f"Database {alias}: SQLite transactions would fail while another process writes.",
                    hint="OPTIONS: transaction_mode IMMEDIATE, timeout 20.",
                    id="opsportal.E006",
                )
            )
        if "journal_mode=wal" not in given.get("init_command", "").lower().replace(" ", ""):
            problems.append(
                Error(
                    f"Database {alias}: SQLite readers would block writers.",
                    hint="OPTIONS: init_command with PRAGMA journal_mode=WAL.",
                    id="opsportal.E007",
                )
            )
    return problems


@register(Tags.security)
def keys(app_configs: Iterable[AppConfig] | None, **options: object) -> list[CheckMessage]:
    """Two strong keys that have nothing to do with each other."""
    try:
        secret_key = settings.SECRET_KEY
    except ImproperlyConfigured:  # Django's way to say that it is empty
        secret_key = ""
    encryption_keys = list(getattr(settings, "FIELD_ENCRYPTION_KEY", None) or [])
    return list(key_problems(secret_key, encryption_keys))


def key_problems(secret_key: str, encryption_keys: list[str]) -> Iterator[CheckMessage]:
    if len(secret_key) < SHORTEST_SECRET_KEY or len(set(secret_key)) < 5:
        yield Error(
            "OPSPORTAL_SECRET_KEY is missing or too weak.",
            hint=f"At least {SHORTEST_SECRET_KEY} random characters: it signs sessions and queue rows.",
            id="opsportal.E008",
        )
    if not encryption_keys or not all(map(_is_fernet_key, encryption_keys)):
        yield Error(
            "OPSPORTAL_ENCRYPTION_KEYS is missing or not made of Fernet keys.",
            hint="Each key: 32 random bytes as URL-safe base64; the first encrypts, all decrypt.",
            id="opsportal.E009",
        )
    if secret_key in encryption_keys:
        yield Error(
            "OPSPORTAL_SECRET_KEY is also an encryption key.",
            hint="Make two independent keys: whoever learns the one must not read the credentials.",
            id="opsportal.E010",
        )


def _is_fernet_key(key: str) -> bool:
    try:
        Fernet(key)
    except ValueError:
        return False
    return True


@register(Tags.security)
def allowed_hosts(app_configs: Iterable[AppConfig] | None, **options: object) -> list[CheckMessage]:
    """A wildcard would let any page that names our address speak to us as its own site."""
    if settings.DEBUG or not any(name in {"*", "."} for name in settings.ALLOWED_HOSTS):
        return []
    return [
        Error(
            "OPSPORTAL_ALLOWED_HOSTS allows every name.",
            hint="List the names under which the portal is reached.",
            id="opsportal.E011",
        )
    ]
