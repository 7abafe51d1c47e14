"""Private keys as text, ready to sign with."""

from __future__ import annotations

import io

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from automation.libraries.errors import AuthKeyUnusable
from automation.libraries.types import Credentials

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def load_private_key(credentials: Credentials) -> paramiko.PKey | None:
    """The credentials' private key; None when they have none. Slow when it has a passphrase, on purpose.

    OpenSSH, PEM and PKCS #8 texts of Ed25519, ECDSA and RSA keys are read. Raises `AuthKeyUnusable`.
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
        return kind.from_private_key(io.StringIO(text.decode()))
    except paramiko.SSHException:
        raise AuthKeyUnusable("The private key cannot be used for SSH") from None


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
