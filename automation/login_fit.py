"""Whether a credential can log in where it is used: its kind beside the login method of the place."""

from __future__ import annotations

from typing import Any, Final

from automation.models.winrm import DEFAULTS
from credentials.models import Credential

CODE: Final = "credential.unfit"
_BY_METHOD: Final = {
    "kerberos": ("password", "keytab"),
    "certificate": ("client_certificate",),
}
_BY_SSH: Final = ("private_key", "password")
_BY_PASSWORD: Final = ("password",)


def misfit(place: dict[str, Any], credential: Credential | None) -> str:
    """Why nobody can log in at this place with this credential, and the next step; empty where one can.

    `place` is one of a leaf, frozen or of today. No credential at all is not a misfit.
    """
    if credential is None:
        return ""
    winrm = place.get("winrm")
    method = (DEFAULTS | winrm)["method"] if winrm is not None else ""
    taken = _BY_METHOD.get(method, _BY_PASSWORD) if winrm is not None else _BY_SSH
    given = credential.proves_by()
    if not given.isdisjoint(taken):
        return ""
    has = " and ".join(_word(each) for each in sorted(given)) or "nothing to log in with"
    takes = " or ".join(_word(each) for each in taken)
    if winrm is None:
        return (
            f"The credential {credential.name!r} has {has}; SSH takes {takes}. Give the target another one."
        )
    return (
        f"The login method is {method}, which takes {takes}; the credential {credential.name!r} has {has}. "
        "Change the target's method, or give it another credential."
    )


def _word(proof: str) -> str:
    words = {
        "password": "a password",
        "private_key": "a private key",
        "keytab": "a keytab",
        "client_certificate": "a client certificate",
    }
    return words[proof]
