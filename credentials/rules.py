"""Which secrets make a usable credential."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.core.exceptions import ValidationError

from credentials.client_certificates import ClientCertificateError, check_client_certificate
from credentials.keytabs import KeytabError, check_keytab
from credentials.private_keys import KeyFacts, PrivateKeyError, key_facts
from credentials.secret import Secret

_OF_LINES: Final = ("private_key", "keytab")
_ALONE: Final = {"keytab": ("keytab",), "client_certificate": ("private_key", "passphrase")}


class CredentialError(ValidationError):
    """Secrets were refused. The text gives cause and next step and nothing of them.

    `code` is stable: `credential.empty`, `credential.control_character`, `credential.password_missing`,
    `credential.key_missing`, `credential.key_not_allowed`, `credential.passphrase_without_key`,
    `credential.vault_secret_missing`, `credential.vault_secret_not_allowed`,
    `credential.vault_secret_needed`, `credential.kept_in_vault`, `credential.vault_entry`,
    `credential.keytab_missing`, `credential.keytab_not_allowed`, `credential.secret_not_allowed`, or one of
    `private_keys.PrivateKeyError`, `keytabs.KeytabError`, `client_certificates.ClientCertificateError`.
    `field` names the input to correct.
    """

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(message, code=code)
        self.field = field


@dataclass(frozen=True, slots=True)
class CredentialSecrets:
    """The secrets of one credential; None where there is none."""

    password: Secret | None = None
    private_key: Secret | None = None
    passphrase: Secret | None = None
    become_password: Secret | None = None
    vault_secret: Secret | None = None
    keytab: Secret | None = None  # in base64
    client_certificate: Secret | None = None
    """From a vault alone, where it lies beside its key: elsewhere it is a column, being no secret."""

    def items(self) -> Iterator[tuple[str, Secret]]:
        """Name and value of those that are there."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None:
                yield field.name, value

    def present(self) -> tuple[Secret, ...]:
        """Those that are there, for instance to mask them all; a certificate is none."""
        return tuple(secret for name, secret in self.items() if name != "client_certificate")

    def as_json(self) -> Secret:
        """All of them in one secret text."""
        return Secret(json.dumps({name: secret.reveal() for name, secret in self.items()}))

    @classmethod
    def from_json(cls, text: Secret) -> "CredentialSecrets":
        """The inverse of `as_json`."""
        return cls(**{name: Secret(value) for name, value in json.loads(text.reveal()).items()})


def check_secrets(
    kind: str, secrets: CredentialSecrets, *, username: str = "", certificate: str = ""
) -> KeyFacts | None:
    """The public facts of the private key, if there is one.

    `username` and `certificate` are those that the secrets must go with: a keytab with the login, the key of
    a client certificate with that. Raises CredentialError for an unusable set.
    """
    for name, secret in secrets.items():
        _check_text(name, secret)
    if kind == "vault":
        _check_vault_kind(secrets)
        return None
    _check_belongs(kind, secrets)
    if kind == "password":
        _check_password_kind(secrets)
        return None
    if kind == "keytab":
        _check_keytab_kind(secrets, username)
        return None
    facts = _check_key_kind(secrets)
    if kind == "client_certificate":
        _check_certificate_kind(secrets, certificate)
    return facts


def _check_text(name: str, secret: Secret) -> None:
    if not secret.reveal().strip():
        raise CredentialError("credential.empty", name, "The value is empty. Enter it, or leave it out.")
    if name not in _OF_LINES and _has_control_character(secret):
        raise CredentialError(
            "credential.control_character",
            name,
            "The value holds a line end or another control character, often from pasting. Remove it.",
        )


def _check_belongs(kind: str, secrets: CredentialSecrets) -> None:
    """Secrets that only one kind takes, and kinds that take nothing else."""
    if secrets.vault_secret is not None:
        raise CredentialError(
            "credential.vault_secret_not_allowed",
            "vault_secret",
            "Only a credential of kind 'vault' takes a token or secret id. Change the kind to 'vault'.",
        )
    if secrets.keytab is not None and kind != "keytab":
        raise CredentialError(
            "credential.keytab_not_allowed",
            "keytab",
            "Only a credential of kind 'keytab' takes a keytab. Change the kind to 'keytab'.",
        )
    for name, _ in secrets.items():
        if kind in _ALONE and name not in _ALONE[kind]:
            raise CredentialError(
                "credential.secret_not_allowed",
                name,
                f"A credential of kind '{kind}' takes {' and '.join(_ALONE[kind])} alone. Leave this out.",
            )


def _check_vault_kind(secrets: CredentialSecrets) -> None:
    for name, _ in secrets.items():
        if name != "vault_secret":
            raise CredentialError(
                "credential.kept_in_vault",
                name,
                "A credential of kind 'vault' keeps only its token or secret id here. Leave this out.",
            )
    if secrets.vault_secret is None:
        raise CredentialError(
            "credential.vault_secret_missing", "vault_secret", "Enter the token, or AppRole's secret id."
        )


def _check_password_kind(secrets: CredentialSecrets) -> None:
    for name in ("private_key", "passphrase"):
        if getattr(secrets, name) is not None:
            raise CredentialError(
                "credential.key_not_allowed",
                name,
                "A credential of kind 'password' takes no private key. Change the kind to 'private_key'.",
            )
    if secrets.password is None:
        raise CredentialError("credential.password_missing", "password", "Enter the password.")


def _check_key_kind(secrets: CredentialSecrets) -> KeyFacts:
    if secrets.private_key is None:
        if secrets.passphrase is not None:
            raise CredentialError(
                "credential.passphrase_without_key",
                "private_key",
                "There is a passphrase but no private key. Enter the key it belongs to.",
            )
        raise CredentialError("credential.key_missing", "private_key", "Enter the private key.")
    try:
        return key_facts(secrets.private_key, secrets.passphrase)
    except PrivateKeyError as error:
        refused = CredentialError(error.code, error.field, str(error))
    raise refused


def _check_keytab_kind(secrets: CredentialSecrets, username: str) -> None:
    if secrets.keytab is None:
        raise CredentialError("credential.keytab_missing", "keytab", "Enter the keytab.")
    try:
        check_keytab(secrets.keytab, username)
    except KeytabError as error:
        refused = CredentialError(error.code, error.field, str(error))
    else:
        return
    raise refused


def _check_certificate_kind(secrets: CredentialSecrets, certificate: str) -> None:
    assert secrets.private_key is not None  # noqa: S101 -- looked at before
    try:
        check_client_certificate(certificate, secrets.private_key, secrets.passphrase)
    except ClientCertificateError as error:
        refused = CredentialError(error.code, error.field, str(error))
    else:
        return
    raise refused


def _has_control_character(secret: Secret) -> bool:
    return any(ord(character) < 32 or ord(character) == 127 for character in secret.reveal())
