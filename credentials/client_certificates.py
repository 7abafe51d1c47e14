"""Certificates that a login shows in TLS, as Windows targets take them. Knows no Django."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from credentials.private_keys import PrivateKeyError, key_facts
from credentials.secret import Secret

LARGEST: Final = 64 * 1024
_CONVERT: Final = "Convert a copy of the key with: ssh-keygen -p -m PEM -f KEY"
_ANOTHER: Final = "Give the certificate that was issued for this key."


class ClientCertificateError(ValueError):
    """A client certificate cannot be used. The text gives cause and next step and nothing of the key.

    `code` is `credential.certificate_missing`, `credential.certificate_unreadable`,
    `credential.certificate_expired`, `credential.certificate_not_for_logins`,
    `credential.certificate_other_key`, `credential.key_not_pem` or one of `private_keys.PrivateKeyError`;
    `field` is the input to correct.
    """

    def __init__(self, code: str, message: str, field: str = "certificate") -> None:
        super().__init__(message)
        self.code, self.field = code, field


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What a certificate says of itself. `names` are the user names in it, `fingerprint` its SHA-1, as
    Windows shows it; `pem` is the chain without what stood around it."""

    subject: str
    issuer: str
    serial: str
    names: tuple[str, ...]
    fingerprint: str
    begins_at: datetime
    ends_at: datetime
    pem: str

    @property
    def expired(self) -> bool:
        """Its time is over."""
        return self.ends_at <= datetime.now(tz=UTC)


def read_client_certificate(text: str) -> ClientCertificate:
    """The first certificate of the PEM text, which those of its authorities may follow.

    Raises ClientCertificateError.
    """
    chain = _chain(text)
    first = chain[0]
    return ClientCertificate(
        subject=first.subject.rfc4514_string(),
        issuer=first.issuer.rfc4514_string(),
        serial=f"{first.serial_number:x}",
        names=_user_names(first),
        fingerprint=first.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303 -- its name, not its proof
        begins_at=first.not_valid_before_utc,
        ends_at=first.not_valid_after_utc,
        pem="".join(each.public_bytes(Encoding.PEM).decode() for each in chain),
    )


def check_client_certificate(text: str, private_key: Secret, passphrase: Secret | None) -> None:
    """Raise ClientCertificateError unless it is for logins and belongs to this key, whatever its time."""
    certificate = _chain(text)[0]
    if not _for_logins(certificate):
        raise ClientCertificateError(
            "credential.certificate_not_for_logins",
            "The certificate is not for client authentication. Have one issued with that purpose.",
        )
    if "BEGIN OPENSSH PRIVATE KEY" in private_key.reveal():
        raise ClientCertificateError(
            "credential.key_not_pem", f"The key is in OpenSSH's own format. {_CONVERT}", "private_key"
        )
    try:
        public = load_ssh_public_key(key_facts(private_key, passphrase).public_key.encode())
    except PrivateKeyError as error:
        refused = ClientCertificateError(error.code, str(error), error.field)
    else:
        spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if public.public_bytes(*spki) == certificate.public_key().public_bytes(*spki):
            return
        refused = ClientCertificateError(
            "credential.certificate_other_key", f"The certificate is for another key. {_ANOTHER}"
        )
    raise refused


def _chain(text: str) -> list[x509.Certificate]:
    if not text.strip():
        raise ClientCertificateError("credential.certificate_missing", "Enter the certificate as PEM text.")
    try:
        if len(text) > LARGEST:
            raise ValueError
        chain = x509.load_pem_x509_certificates(text.encode())
        chain[0].public_key()
    except (ValueError, UnsupportedAlgorithm):
        chain = []
    if not chain:
        raise ClientCertificateError(
            "credential.certificate_unreadable",
            "The certificate cannot be read. Paste it as PEM, from -----BEGIN CERTIFICATE to the END line.",
        )
    return chain


def _for_logins(certificate: x509.Certificate) -> bool:
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True  # for everything
    except ValueError:
        return False
    return any(each in purposes for each in (ExtendedKeyUsageOID.CLIENT_AUTH, _ANY_PURPOSE))


_ANY_PURPOSE: Final = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
_USER_PRINCIPAL_NAME: Final = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")


def _user_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Windows maps a certificate by the user principal name in it."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    found = names.get_values_for_type(x509.OtherName)
    # A short UTF8String: one byte of type, one of length.
    return tuple(
        each.value[2:].decode("utf-8", "replace")
        for each in found
        if each.type_id == _USER_PRINCIPAL_NAME and each.value[:1] == b"\x0c" and each.value[1:2] < b"\x80"
    )
