"""Is this the machine we mean? Host keys as text and bytes, fingerprints, known_hosts files."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

from automation.libraries.errors import HostKeyChanged, HostKeyUnknown, KnownHostsUnusable
from automation.libraries.types import Endpoint

KEY_ALGORITHMS: dict[str, tuple[str, ...]] = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""The types of host key we accept, best first, with the signature algorithms for each (none with SHA-1)."""


def fingerprint(blob: bytes) -> str:
    """`SHA256:…`, as OpenSSH prints it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).rstrip(b"=")
    return f"SHA256:{digest.decode()}"


def key_line(key_type: str, blob: bytes) -> str:
    """The key as an `Endpoint` holds it: `ssh-ed25519 AAAAC3…`."""
    return f"{key_type} {base64.b64encode(blob).decode()}"


def key_blob(line: str) -> bytes:
    """The bytes of a host key line; empty when it is not one."""
    fields = line.split()
    try:
        return base64.b64decode(fields[1], validate=True)
    except (IndexError, binascii.Error):
        return b""


def accepted_algorithms(host_keys: Iterable[str]) -> tuple[str, ...]:
    """Signature algorithms in the order to ask for them: those of the trusted keys first.

    Asking for the others too lets a changed key be seen as changed instead of as "nothing in common".
    """
    trusted = [line.split()[0] for line in host_keys if line.split()]
    order = dict.fromkeys([*(name for name in trusted if name in KEY_ALGORITHMS), *KEY_ALGORITHMS])
    return tuple(algorithm for name in order for algorithm in KEY_ALGORITHMS[name])


def verify(endpoint: Endpoint, key_type: str, blob: bytes) -> None:
    """Return only if the shown key is one of the endpoint's trusted keys, byte for byte.

    Raises `HostKeyUnknown` or `HostKeyChanged`.
    """
    shown = f"{key_type} {fingerprint(blob)}"
    if not endpoint.host_keys:
        raise HostKeyUnknown(
            f"No host key is trusted for {endpoint}; it shows {shown}", presented=key_line(key_type, blob)
        )
    trusted = [known for known in map(key_blob, endpoint.host_keys) if known]
    if any(hmac.compare_digest(known, blob) for known in trusted):
        return
    expected = ", ".join(fingerprint(known) for known in trusted) or "no readable key"
    raise HostKeyChanged(
        f"{endpoint} shows the host key {shown}, but trusted is {expected}",
        presented=key_line(key_type, blob),
    )


def known_host_keys(source: Path, endpoint: Endpoint) -> tuple[str, ...]:
    """The keys that an OpenSSH known_hosts file has for this endpoint, without revoked ones.

    Hashed names, patterns and `[name]:port` are understood; certificate authorities are passed over.
    Raises `KnownHostsUnusable`.
    """
    try:
        lines = source.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as fault:
        raise KnownHostsUnusable(f"{source} cannot be read", cause_hint=fault.strerror or "") from None
    name = endpoint.host.lower()
    if endpoint.port != 22:
        name = f"[{name}]:{endpoint.port}"
    keys: dict[str, None] = {}
    revoked: set[str] = set()
    for line in lines:
        fields = line.split()
        marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
        if len(fields) < 3 or fields[0].startswith("#") or not _names(fields[0], name):
            continue
        key = f"{fields[1]} {fields[2]}"
        if marker == "@revoked":
            revoked.add(key)
        elif not marker:
            keys[key] = None
    return tuple(key for key in keys if key not in revoked)


def _names(patterns: str, name: str) -> bool:
    """Whether the first field of a known_hosts line means this name; a matching `!pattern` excludes it."""
    if patterns.startswith("|1|"):
        return _is_hash_of(patterns, name)
    matched = False
    for pattern in patterns.lower().split(","):
        # Only * and ? are special in known_hosts, but fnmatch also knows [ ], which `[name]:port` has.
        wanted = pattern.removeprefix("!").replace("[", "[[]")
        if fnmatch.fnmatchcase(name, wanted):
            if pattern.startswith("!"):
                return False
            matched = True
    return matched


def _is_hash_of(hashed: str, name: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part) for part in hashed.split("|")[2:4])
    except (ValueError, binascii.Error):
        return False
    # OpenSSH hashes names with SHA-1; here it only hides names, it proves nothing.
    return hmac.compare_digest(hmac.new(salt, name.encode(), "sha1").digest(), digest)
