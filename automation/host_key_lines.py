"""What proves who a target is, as text.

SSH: `ssh-ed25519 AAAA…`, the form of known_hosts and of `/etc/ssh/ssh_host_*_key.pub`. WinRM: a pinned
certificate, `x509-sha256 <hex>`, or its public key, `spki-sha256 <hex>`. An authority that signs certificates
of Windows targets is its own certificate: `x509 <base64 of DER>`, given as PEM.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
PIN_TYPES = ("x509-sha256", "spki-sha256")
TLS_AUTHORITY = "x509"
MAX_LINE = 4096
MAX_CERTIFICATE = 16 * 1024
_PEM = "-----BEGIN CERTIFICATE-----"
_PIN = re.compile(r"[0-9a-f]{64}")


def read_host_key(line: str) -> tuple[str, str]:
    """Type and base64 key of a line `type base64 [comment]`, in one spelling. Raises ValueError."""
    parts = line.split(None, 2) if len(line) <= MAX_LINE else []
    if len(parts) < 2:
        raise ValueError("must be a line like: ssh-ed25519 AAAA…")
    return check_host_key(parts[0], parts[1])


def check_host_key(key_type: str, key: str) -> tuple[str, str]:
    """Type and base64 key, if the key is one of its type. Raises ValueError."""
    if key_type in PIN_TYPES:
        return key_type, _check_pin(key)
    if key_type not in KEY_TYPES:
        known = ", ".join((*KEY_TYPES, *PIN_TYPES))
        raise ValueError(f"{key_type[:64]!r} is no key type we trust; one of {known}")
    try:
        blob = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the key is not base64") from None
    name = key_type.encode()
    # RFC 4253, 6.6: a key begins with the length and the name of its type.
    if not blob.startswith(len(name).to_bytes(4, "big") + name) or len(blob) < len(name) + 36:
        raise ValueError(f"the key is not a whole {key_type} key")
    return key_type, base64.b64encode(blob).decode()


def _check_pin(text: str) -> str:
    # Certificate tools print such a hash in pairs with colons.
    pin = text.replace(":", "").lower()
    if not _PIN.fullmatch(pin):
        raise ValueError("the pin is not a SHA-256 in 64 hexadecimal digits")
    return pin


def read_authority(text: str) -> tuple[str, str]:
    """Type and key of what signs: the line of a .pub file, or a certificate in PEM. Raises ValueError."""
    return check_authority(TLS_AUTHORITY, text) if _PEM in text else read_host_key(text)


def check_authority(key_type: str, key: str) -> tuple[str, str]:
    """Type and key, if it can sign for others; a certificate may be PEM or base64. Raises ValueError."""
    if key_type in PIN_TYPES:
        raise ValueError("a pin is no authority; it proves one target alone")
    if key_type != TLS_AUTHORITY:
        return check_host_key(key_type, key)
    certificate = _certificate(key)
    try:
        signs = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        signs = False
    if not signs:
        raise ValueError("certificate is not that of an authority: it may not sign others")
    return key_type, base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def _certificate(text: str) -> x509.Certificate:
    if text.count(_PEM) > 1:
        raise ValueError("holds more than one certificate; make an authority of each")
    try:
        if _PEM in text:
            return x509.load_pem_x509_certificate(text.encode())
        return x509.load_der_x509_certificate(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise ValueError("certificate cannot be read; give it as PEM") from None


def authority_pem(line: str) -> str:
    """The PEM text of an authority's line `x509 <base64>`."""
    certificate = x509.load_der_x509_certificate(base64.b64decode(line.split()[1]))
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def fingerprint(key: str) -> str:
    """The SHA-256 fingerprint of a base64 key, or the hash that a pin is, as OpenSSH writes one."""
    digest = bytes.fromhex(key) if _PIN.fullmatch(key) else hashlib.sha256(base64.b64decode(key)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
