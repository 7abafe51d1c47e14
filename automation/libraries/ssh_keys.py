"""Private keys as text, ready to sign with."""

from __future__ import annotations

import io

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from automation.libraries.errors import (
    AuthKeyUnusable,
    CertificateExpired,
    CertificateNotYetValid,
    CertificateUnusable,
)
from automation.libraries.types import Credentials
from credentials.certificates import Certificate, CertificateError, read_certificate

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def load_private_key(credentials: Credentials) -> paramiko.PKey | None:
    """The credentials' private key; None when they have none. Slow when it has a passphrase, on purpose.

    OpenSSH, PEM and PKCS #8 texts of Ed25519, ECDSA and RSA keys are read. With a certificate the key logs
    in by that. Raises `AuthKeyUnusable`, `CertificateUnusable`.
    """
    if credentials.private_key is None:
        return None
    passphrase = credentials.passphrase.reveal() if credentials.passphrase is not None else None
    key = _parse(credentials.private_key.reveal(), passphrase or None)
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    kind = _paramiko_kind(key)
    try:
        loaded = kind.from_private_key(io.StringIO(text.decode()))
    except paramiko.SSHException:
        raise AuthKeyUnusable("The private key cannot be used for SSH") from None
    if credentials.certificate:
        public = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        if _read(credentials.certificate).public_key != public.decode():
            raise CertificateUnusable("The user certificate was issued for another key than this one")
        loaded.load_certificate(" ".join(credentials.certificate.split()[:2]))
    return loaded


def check_certificate(credentials: Credentials) -> None:
    """Return only if there is no user certificate, or one that is valid now.

    Raises `CertificateUnusable`, `CertificateExpired`, `CertificateNotYetValid`.
    """
    if not credentials.certificate:
        return
    found = _read(credentials.certificate)
    if found.expired():
        raise CertificateExpired(
            "The user certificate has expired",
            cause_hint=f"It was valid until {found.ends_at:%Y-%m-%d %H:%M} UTC" if found.ends_at else "",
        )
    if found.not_yet_valid():
        raise CertificateNotYetValid("The user certificate is not valid yet")


def _read(line: str) -> Certificate:
    try:
        found = read_certificate(line)
    except CertificateError as error:
        raise CertificateUnusable("The user certificate cannot be used", cause_hint=str(error)) from None
    if found.kind != "user":
        raise CertificateUnusable("The certificate is one for hosts, so nobody can log in with it")
    return found


def _parse(text: str, passphrase: str | None) -> PrivateKey:
    # Keys pasted into forms lose their last line end or gain carriage returns.
    data = text.strip().replace("\r\n", "\n").encode() + b"\n"
    load = (
        serialization.load_ssh_private_key
        if b"BEGIN OPENSSH PRIVATE KEY" in data
        else serialization.load_pem_private_key
    )
    try:
        key = load(data, passphrase.encode() if passphrase else None)
    except TypeError:
        # The loaders say so when a passphrase is missing, and PEM also when one is given for nothing.
        if passphrase:
            return _parse(text, None)
        raise AuthKeyUnusable(
            "The private key is locked", cause_hint="It has a passphrase that was not given"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        hint = "The passphrase may be wrong" if passphrase else "It may be damaged, or not a private key"
        raise AuthKeyUnusable("The private key cannot be read", cause_hint=hint) from None
    if isinstance(key, PrivateKey):
        return key
    raise AuthKeyUnusable("The private key is of a kind that is not supported")


def _paramiko_kind(key: PrivateKey) -> type[paramiko.PKey]:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return paramiko.Ed25519Key
    return paramiko.RSAKey if isinstance(key, rsa.RSAPrivateKey) else paramiko.ECDSAKey
