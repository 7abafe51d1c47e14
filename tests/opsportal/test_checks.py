"""Settings that refuse the start."""

from typing import Any

import pytest
from django.conf import settings as real
from django.core.checks import run_checks
from pytest_django.fixtures import Settings

from opsportal.checks import key_problems

KEY = real.FIELD_ENCRYPTION_KEY[0]
STRONG = "0123456789abcdefghij" * 3


def ids() -> set[str]:
    found = {message.id for message in run_checks(include_deployment_checks=False)}
    found |= {message.id for message in run_checks(tags=["database"])}
    return {found_id for found_id in found if found_id and found_id.startswith("opsportal.")}


def test_the_settings_we_ship_pass() -> None:
    assert ids() == set()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"orm": None}, {"opsportal.E001"}),
        ({"timeout": None}, {"opsportal.E002"}),
        ({"retry": 3600}, {"opsportal.E002"}),
        ({"ack_failures": False}, {"opsportal.E003"}),
        ({"max_attempts": 0}, {"opsportal.E003"}),
        ({"catch_up": True}, {"opsportal.E003"}),
        ({"poll": 0}, {"opsportal.E004"}),
        ({"ALT_CLUSTERS": {"control": {}}}, {"opsportal.E005"}),
        ({"ALT_CLUSTERS": {"control": {}, "execution": {"retry": 60}}}, {"opsportal.E002"}),
    ],
)
def test_an_unsafe_queue_is_refused(settings: Settings, change: dict[str, Any], expected: set[str]) -> None:
    settings.Q_CLUSTER = {**real.Q_CLUSTER, **change}
    assert ids() == expected


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("transaction_mode", "DEFERRED", {"opsportal.E006"}),
        ("timeout", 5, {"opsportal.E006"}),
        ("init_command", "", {"opsportal.E007"}),
    ],
)
def test_sqlite_must_take_several_writers(
    monkeypatch: pytest.MonkeyPatch, option: str, value: object, expected: set[str]
) -> None:
    monkeypatch.setitem(real.DATABASES["default"]["OPTIONS"], option, value)
    assert ids() == expected


@pytest.mark.parametrize(
    ("secret_key", "encryption_keys", "expected"),
    [
        ("short", [KEY], {"opsportal.E008"}),
        ("", [KEY], {"opsportal.E008"}),
        ("x" * 60, [KEY], {"opsportal.E008"}),
        (KEY, [KEY], {"opsportal.E008", "opsportal.E010"}),
        (STRONG, [], {"opsportal.E009"}),
        (STRONG, [KEY, "no key"], {"opsportal.E009"}),
        (STRONG, [KEY], set()),
    ],
)
def test_weak_missing_or_shared_keys_are_refused(
    secret_key: str, encryption_keys: list[str], expected: set[str]
) -> None:
    assert {message.id for message in key_problems(secret_key, encryption_keys)} == expected


def test_a_wildcard_of_names_is_for_debugging_only(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    assert ids() == {"opsportal.E011"}
    settings.DEBUG = True
    assert ids() == set()
