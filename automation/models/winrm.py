"""How a Windows target is spoken to: the part of its row that only WinRM has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError

METHODS: Final = ("negotiate", "ntlm", "kerberos", "certificate", "basic", "credssp")
"""Ways to log in: `kerberos` with a password or a keytab, `certificate` with a client certificate, the others
with a password. `credssp` hands the password to the target: only where it is asked for."""
DEFAULTS: Final[dict[str, Any]] = {"method": "negotiate", "https": True, "encrypt": False, "service_name": ""}
"""Every setting there is, and what holds where it is not set."""
WITHOUT_TLS: Final = ("negotiate", "ntlm", "kerberos", "credssp")
"""Methods that encrypt each message themselves."""


def with_windows_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a new target, as given; of a Windows target also those that follow from its platform."""
    if values.get("platform") != "windows":
        return dict(values)
    how = values.get("winrm")
    plain = isinstance(how, dict) and how.get("https") is False
    return {"transport": "winrm", "port": 5985 if plain else 5986} | dict(values)


def check_winrm(value: Any) -> None:
    """Settings as a row keeps them: `method`, `https`, `encrypt`, `service_name`. Raises ValidationError."""
    if not isinstance(value, dict):
        raise ValidationError('Write an object like {"method": "kerberos", "https": true}.')
    if unknown := sorted(map(str, value.keys() - DEFAULTS.keys())):
        raise ValidationError(
            f"There is no setting {unknown[0][:64]!r}. Settings are: {', '.join(DEFAULTS)}."
        )
    if value.get("method", "negotiate") not in METHODS:
        raise ValidationError(f"`method` is one of {', '.join(METHODS)}.")
    for name in ("https", "encrypt"):
        if not isinstance(value.get(name, False), bool):
            raise ValidationError(f"`{name}` is true or false.")
    _check_service_name(value.get("service_name", ""))
    if not value.get("https", True) and value.get("method", "negotiate") not in WITHOUT_TLS:
        told = {"basic": "Basic login over plain HTTP would show the password. Use HTTPS."}
        raise ValidationError(
            told.get(value["method"], "A client certificate is shown in TLS alone. Use HTTPS.")
        )


def _check_service_name(name: Any) -> None:
    if not isinstance(name, str) or len(name) > 253 or any(not 33 <= ord(letter) <= 126 for letter in name):
        raise ValidationError("`service_name` is a name like web1.example.com.")
