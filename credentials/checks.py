"""System checks: mistakes in the settings, told before anything runs."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, register

from credentials.keys import KeysUnusable, cipher, configured_keys


@register(Tags.security)
def check_keys(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """`credentials.E001`: there is no key; `credentials.E002`: one is not a Fernet key."""
    try:
        cipher()
    except KeysUnusable as error:
        number = "E002" if configured_keys() else "E001"
        return [Error(str(error), id=f"credentials.{number}")]
    return []
