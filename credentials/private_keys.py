"""Reading private keys for SSH. Knows no Django."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from credentials.secret import Secret

SMALLEST_RSA: Final = 2048
_MAKE_ONE: Final = "Make one with: ssh-keygen -t ed25519"

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Failure = Literal["unreadable", "encrypted", "unsupported"]


class PrivateKeyError(ValueError):
    """A private key cannot be used. The text gives cause and next step and nothing of the key.

    `code` is one of `credential.key_unreadable`, `credential.key_is_public`, `credential.key_is_putty`,
    `credential.key_type_unsupported`, `credential.key_too_small`, `credential.passphrase_missing`,
    `credential.passphrase_wrong`, `credential.passphrase_unneeded`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def field(self) -> Literal["passphrase", "private_key"]:
        """Which of the two inputs to correct."""
        return "passphrase" if self.code.startswith("credential.passphrase") else "private_key"


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What may be known of a private key: `key_type` as in authorized_keys, `SHA256:…` as ssh-keygen -l."""

    key_type: str
    fingerprint: str
    public_key: str


def key_facts(private_key: Secret, passphrase: Secret | None = None) -> KeyFacts:
    """The public facts of an ed25519, ECDSA or RSA key of at least 2048 bits. Raises PrivateKeyError.

    OpenSSH, PKCS#1, SEC1 and PKCS#8 files are read, with any line ends.
    """
    public = _load(private_key, passphrase).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    key_type, blob = public.decode().split()
    digest = hashlib.sha256(base64.b64decode(blob)).digest()
    return KeyFacts(key_type, "SHA256:" + base64.b64encode(digest).decode().rstrip("="), f"{key_type} {blob}")


def as_openssh(private_key: Secret, passphrase: Secret | None = None) -> Secret:
    """The same key as an OpenSSH file without passphrase, the one form every SSH library reads.

    For memory alone, never for storage. Raises PrivateKeyError.
    """
    key = _load(private_key, passphrase)
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode())


def _load(private_key: Secret, passphrase: Secret | None) -> PrivateKey:
    # Loading without the passphrase first tells a damaged file from a wrong passphrase.
    key = _attempt(private_key, None)
    if key == "encrypted":
        if passphrase is None:
            raise PrivateKeyError(
                "credential.passphrase_missing", "The private key is encrypted. Enter its passphrase."
            )
        key = _attempt(private_key, passphrase)
        if key == "unreadable":
            raise PrivateKeyError(
                "credential.passphrase_wrong",
                "The passphrase does not open the private key. Enter the one it was encrypted with.",
            )
    elif passphrase is not None and not isinstance(key, str):
        raise PrivateKeyError(
            "credential.passphrase_unneeded", "The private key is not encrypted. Leave the passphrase empty."
        )
    if isinstance(key, str):
        raise _not_a_key(private_key) if key == "unreadable" else _unsupported()
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < SMALLEST_RSA:
        raise PrivateKeyError(
            "credential.key_too_small",
            f"The RSA key has {key.key_size} bits; at least {SMALLEST_RSA} are needed. {_MAKE_ONE}",
        )
    return key


def _attempt(private_key: Secret, passphrase: Secret | None) -> PrivateKey | Failure:
    """Load, and answer with a word instead of an error: this frame holds the key's text."""
    pem = private_key.reveal().strip().encode() + b"\n"
    load = load_ssh_private_key if b"BEGIN OPENSSH PRIVATE KEY" in pem else load_pem_private_key
    try:
        key = load(pem, passphrase.reveal_bytes() if passphrase else None)
        if not isinstance(key, PrivateKey):
            return "unsupported"
        key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)  # refuses curves SSH lacks
    except TypeError:
        return "encrypted"
    except ValueError:
        return "unreadable"
    except UnsupportedAlgorithm:
        return "unsupported"
    return key


def _unsupported() -> PrivateKeyError:
    return PrivateKeyError(
        "credential.key_type_unsupported",
        f"The key is none of ed25519, ECDSA (P-256, P-384, P-521) and RSA. {_MAKE_ONE}",
    )


def _not_a_key(private_key: Secret) -> PrivateKeyError:
    """The error for what many people paste by mistake, else the general one."""
    start = private_key.reveal().strip()[:40]
    looks_public = start.startswith(("ssh-", "ecdsa-")) or "PUBLIC KEY" in start
    looks_putty = start.startswith("PuTTY-User-Key-File")
    del start  # a traceback with locals would show it
    if looks_public:
        return PrivateKeyError(
            "credential.key_is_public",
            "This is a public key. Paste the private one: the file of the same name without .pub.",
        )
    if looks_putty:
        return PrivateKeyError(
            "credential.key_is_putty",
            "This is a key in PuTTY's format. Convert it with: puttygen key.ppk -O private-openssh -o key",
        )
    return PrivateKeyError(
        "credential.key_unreadable",
        "The private key cannot be read. Paste the whole file, from -----BEGIN to the END line.",
    )
