"""Who logs in: each credential's secrets opened once, with what masks them in output."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from automation.libraries.types import Credentials
from credentials.masking import Masker
from credentials.models import Credential
from credentials.secret import Secret


@dataclass(frozen=True, slots=True)
class Login:
    """`masker` knows everything that must never be stored as output; take a fresh one for each stream."""

    credentials: Credentials
    masker: Masker = field(repr=False)


class Logins:
    """Many targets share a credential; decrypting it and finding its secrets' forms is dear."""

    def __init__(self, also: Iterable[Secret] = ()) -> None:
        """`also`: more secrets to mask in output, those of the run."""
        self._also = tuple(also)
        self._known: dict[tuple[int, int, str], Login] = {}

    def of(self, credential: Credential, username: str) -> Login:
        """The login as `username` with the secrets this row was loaded with; the row notes its use.

        Raises DecryptionError, KeysUnusable.
        """
        key = (credential.pk, credential.version, username)
        if key not in self._known:
            secrets = credential.secrets()
            credential.used()
            given = Credentials(
                username=username,
                password=secrets.password,
                private_key=secrets.private_key,
                passphrase=secrets.passphrase,
                become_password=secrets.become_password,
                certificate=credential.certificate,
            )
            self._known[key] = Login(given, Masker((*secrets.present(), *self._also)))
        return self._known[key]
