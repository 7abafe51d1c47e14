"""The data keys: read from settings when used, so that a change or a test's override takes effect at once."""

import hashlib
from typing import Protocol, runtime_checkable

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

MAKE_ONE = (
    "Make one with: python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
)


class KeysUnusable(ImproperlyConfigured):
    """The keys in the settings cannot be used; the text says why and what to do. Never holds a key."""


@runtime_checkable
class Changing(Protocol):
    """Keys that may change while the process runs."""

    def refresh(self) -> None:
        """Be today's keys."""


def configured_keys() -> list[str]:
    """The keys of `FIELD_ENCRYPTION_KEY`, one string or several; the first encrypts, all decrypt."""
    keys = getattr(settings, "FIELD_ENCRYPTION_KEY", None) or []
    if isinstance(keys, Changing):
        keys.refresh()
    return [keys] if isinstance(keys, str) else list(keys)


def cipher() -> MultiFernet:
    """Encrypts with the first key and decrypts with any. Raises KeysUnusable."""
    keys = configured_keys()
    if not keys:
        raise KeysUnusable(f"OPSPORTAL_ENCRYPTION_KEYS is empty: secrets cannot be stored. {MAKE_ONE}")
    fernets = []
    for number, key in enumerate(keys, start=1):
        fernet = _fernet(key)
        if fernet is None:
            raise KeysUnusable(
                f"Key {number} of OPSPORTAL_ENCRYPTION_KEYS is not a Fernet key (32 bytes as URL-safe "
                f"base64, 44 characters). {MAKE_ONE}"
            )
        fernets.append(fernet)
    return MultiFernet(fernets)


def key_name(key: str) -> str:
    """How people may call a key without knowing it: eight characters of its hash."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def _fernet(key: str) -> Fernet | None:
    try:
        return Fernet(key)
    except (TypeError, ValueError):
        return None
