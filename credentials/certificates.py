"""Reading OpenSSH certificates, of users and of hosts. Knows no Django."""

from __future__ import annotations

import base64
import binascii
import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)

SUFFIX: Final = "-cert-v01@openssh.com"
LARGEST: Final = 64 * 1024
"""Characters of a certificate's line; OpenSSH's own limit is of this size, too."""
SMALLEST_RSA: Final = 2048
FOREVER: Final = 2**64 - 1
SIGNATURES: Final = (
    b"ssh-ed25519",
    b"ecdsa-sha2-nistp256",
    b"ecdsa-sha2-nistp384",
    b"ecdsa-sha2-nistp521",
    b"rsa-sha2-256",
    b"rsa-sha2-512",
)
"""How an authority may sign; not with SHA-1."""


class CertificateError(ValueError):
    """A certificate cannot be used. The text gives the cause."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says of itself, and that its signature is its authority's.

    `public_key` and `authority` read like lines of public key files without comments. The times are seconds
    since 1970; `valid_before` is the first second in which it is no longer valid.
    """

    kind: Literal["user", "host"]
    key_id: str
    serial: int
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    critical_options: tuple[str, ...]
    public_key: str
    authority: str

    @property
    def begins_at(self) -> datetime | None:
        """When it begins to be valid; None for ever since, or later than calendars reach."""
        return _moment(self.valid_after) if self.valid_after else None

    @property
    def ends_at(self) -> datetime | None:
        """When it stops being valid; None for never, or later than calendars reach."""
        return None if self.valid_before == FOREVER else _moment(self.valid_before)

    @property
    def authority_fingerprint(self) -> str:
        """The signing key as ssh-keygen -L shows it: `SHA256:…`."""
        digest = hashlib.sha256(base64.b64decode(self.authority.split()[1])).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    def expired(self, now: float | None = None) -> bool:
        """Its time is over."""
        return (time.time() if now is None else now) >= self.valid_before

    def not_yet_valid(self, now: float | None = None) -> bool:
        """Its time has not come."""
        return (time.time() if now is None else now) < self.valid_after


def _moment(seconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def read_certificate(line: str) -> Certificate:
    """The certificate in a line `ssh-ed25519-cert-v01@openssh.com AAAA… [comment]`.

    Its signature has been checked against the key it names as its authority; whether that one is trusted
    is the caller's question. Raises CertificateError.
    """
    fields = line.split(None, 2) if len(line) <= LARGEST else []
    if len(fields) < 2 or not fields[0].endswith(SUFFIX):
        raise CertificateError("It is not an OpenSSH certificate: the content of a file ending in -cert.pub")
    try:
        found = load_ssh_public_identity(f"{fields[0]} {fields[1]}".encode())
        if not isinstance(found, SSHCertificate):
            raise CertificateError("It is a public key, not a certificate")
        _check_signature(found, base64.b64decode(fields[1]))
        return _certificate(found)
    except CertificateError:
        raise
    except (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error):
        raise CertificateError("The certificate is damaged or of a kind that is not supported") from None


def _check_signature(found: SSHCertificate, blob: bytes) -> None:
    if _signature_kind(blob) not in SIGNATURES:
        raise CertificateError("The certificate is signed with an algorithm that is not accepted")
    for key in (found.signature_key(), found.public_key()):
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < SMALLEST_RSA:
            raise CertificateError(f"It holds an RSA key of less than {SMALLEST_RSA} bits")
    try:
        found.verify_cert_signature()
    except InvalidSignature:
        raise CertificateError("The certificate's signature is wrong: it was changed or is damaged") from None


def _signature_kind(blob: bytes) -> bytes:
    """The algorithm of the signature in a certificate that is known to be in order."""
    kind, rest = _string(blob)
    numbers = 1 if kind.startswith(b"ssh-ed25519") else 2
    for _ in range(1 + numbers):  # the nonce before them
        _, rest = _string(rest)
    rest = rest[8 + 4 :]  # serial, type
    for _ in range(2):  # key id, principals
        _, rest = _string(rest)
    rest = rest[8 + 8 :]  # valid after, valid before
    for _ in range(4):  # critical options, extensions, reserved, the signing key
        _, rest = _string(rest)
    signature, _ = _string(rest)
    return _string(signature)[0]


def _string(data: bytes) -> tuple[bytes, bytes]:
    """The first string (RFC 4251), and what follows it."""
    size = int.from_bytes(data[:4], "big")
    return data[4 : 4 + size], data[4 + size :]


def _certificate(found: SSHCertificate) -> Certificate:
    kind: Literal["user", "host"] = "user" if found.type is SSHCertificateType.USER else "host"
    return Certificate(
        kind=kind,
        key_id=found.key_id.decode("utf-8", "replace"),
        serial=found.serial,
        principals=tuple(name.decode("utf-8", "replace") for name in found.valid_principals),
        valid_after=found.valid_after,
        valid_before=found.valid_before,
        critical_options=tuple(name.decode("utf-8", "replace") for name in found.critical_options),
        public_key=found.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
        authority=found.signature_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
    )
