"""Who logs in: each credential's secrets opened once, with what masks them in output."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from automation.libraries.types import Credentials
from automation.libraries.windows.types import WindowsCredentials
from credentials.keys import KeysUnusable
from credentials.masking import Masker
from credentials.models import Credential
from credentials.rules import CredentialError, CredentialSecrets
from credentials.sealed import DecryptionError
from credentials.secret import Secret
from credentials.vault import VaultUnusable

LOGIN_ERRORS: Final = (DecryptionError, KeysUnusable, VaultUnusable, CredentialError)
"""What `Logins.of` raises: nobody can log in with this credential now."""
FAILURE_KEPT_SECONDS: Final = 15.0
AT_ONCE: Final = 8


def login_code(error: Exception) -> str:
    """The stable code of one of LOGIN_ERRORS."""
    return error.code if isinstance(error, VaultUnusable) else "credential.unreadable"


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
        self._looked_up: dict[tuple[int, int], CredentialSecrets] = {}
        self._failed: dict[tuple[int, int], tuple[float, Exception]] = {}

    def look_up(self, credentials: Iterable[Credential]) -> None:
        """Read what other servers keep for these, all at the same time; what fails is told by `of`.

        Waits for the network: call it outside of any transaction, before `of` is called inside of one.
        """
        elsewhere = {each.pk: each for each in credentials if each.kind == Credential.Kind.VAULT}
        if elsewhere:
            with ThreadPoolExecutor(AT_ONCE) as threads:
                list(threads.map(self._look_up, elsewhere.values()))

    def _look_up(self, credential: Credential) -> None:
        key = (credential.pk, credential.version)
        try:
            self._looked_up[key] = credential.login_secrets()
        except LOGIN_ERRORS as error:
            self._failed[key] = (time.monotonic() + FAILURE_KEPT_SECONDS, error)

    def of(self, credential: Credential, username: str, *, run: int | None = None) -> Login:
        """The login as `username` with the secrets this row was loaded with; the row notes its use.

        `run` is the run that asks; none for a test. Raises one of LOGIN_ERRORS.
        """
        key = (credential.pk, credential.version, username)
        if key not in self._known:
            secrets = self._secrets(credential)
            credential.used(run=run)
            given = _given(credential, username, secrets)
            self._known[key] = Login(given, Masker((*secrets.present(), *self._also)))
        return self._known[key]

    def _secrets(self, credential: Credential) -> CredentialSecrets:
        key = (credential.pk, credential.version)
        until, error = self._failed.get(key, (0.0, None))
        if error is not None and time.monotonic() < until:
            raise error
        return self._looked_up.get(key) or credential.login_secrets()


def _given(credential: Credential, username: str, secrets: CredentialSecrets) -> Credentials:
    """What the libraries log in with, in memory."""
    own: dict[str, Any] = {
        "username": username,
        "password": secrets.password,
        "private_key": secrets.private_key,
        "passphrase": secrets.passphrase,
        "become_password": secrets.become_password,
    }
    if secrets.client_certificate is not None:  # from a vault
        return WindowsCredentials(**own, client_certificate=secrets.client_certificate.reveal())
    if secrets.keytab is not None:
        return WindowsCredentials(**own, keytab=secrets.keytab)
    if credential.kind == Credential.Kind.CLIENT_CERTIFICATE:
        return WindowsCredentials(**own, client_certificate=credential.certificate)
    return Credentials(**own, certificate=credential.certificate)
