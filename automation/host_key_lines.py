"""Host keys as text: `ssh-ed25519 AAAA…`, the form of known_hosts and of `/etc/ssh/ssh_host_*_key.pub`."""

from __future__ import annotations

import base64
import binascii

KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
MAX_LINE = 4096


def read_host_key(line: str) -> tuple[str, str]:
    """Type and base64 key of a line `type base64 [comment]`, in one spelling. Raises ValueError."""
    parts = line.split(None, 2) if len(line) <= MAX_LINE else []
    if len(parts) < 2:
        raise ValueError("must be a line like: ssh-ed25519 AAAA…")
    return check_host_key(parts[0], parts[1])


def check_host_key(key_type: str, key: str) -> tuple[str, str]:
    """Type and base64 key, if the key is one of its type. Raises ValueError."""
    if key_type not in KEY_TYPES:
        raise ValueError(f"{key_type[:64]!r} is no key type we trust; one of {', '.join(KEY_TYPES)}")
    try:
        blob = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the key is not base64") from None
    name = key_type.encode()
    # RFC 4253, 6.6: a key begins with the length and the name of its type.
    if not blob.startswith(len(name).to_bytes(4, "big") + name) or len(blob) < len(name) + 36:
        raise ValueError(f"the key is not a whole {key_type} key")
    return key_type, base64.b64encode(blob).decode()
