"""Is this the machine we mean? Host keys as text and bytes, fingerprints, known_hosts files."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from automation.libraries.errors import (
    HostCertificateInvalid,
    HostKeyChanged,
    HostKeyRevoked,
    HostKeyUnknown,
    KnownHostsUnusable,
)
from automation.libraries.types import Endpoint
from credentials.certificates import SUFFIX, Certificate, CertificateError, read_certificate

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


def accepted_algorithms(host_keys: Iterable[str], *, certificates: bool = False) -> tuple[str, ...]:
    """Signature algorithms in the order to ask for them: those of the trusted keys first.

    Asking for the others too lets a changed key be seen as changed instead of as "nothing in common". With
    `certificates` a host certificate is asked for before any key that is not trusted itself.
    """
    trusted = [line.split()[0] for line in host_keys if line.split()]
    first = [name for name in dict.fromkeys(trusted) if name in KEY_ALGORITHMS]
    rest = [name for name in KEY_ALGORITHMS if name not in first]
    signed = [f"{algorithm}{SUFFIX}" for algorithm in _algorithms(KEY_ALGORITHMS)] if certificates else []
    return (*_algorithms(first), *signed, *_algorithms(rest))


def _algorithms(key_types: Iterable[str]) -> list[str]:
    return [algorithm for name in key_types for algorithm in KEY_ALGORITHMS[name]]


def verify(endpoint: Endpoint, key_type: str, blob: bytes, *, certificate: bytes = b"") -> None:
    """Return only if the shown key is one of the endpoint's trusted keys, byte for byte, or comes in a
    `certificate` that one of the endpoint's authorities issued for it.

    Raises `HostKeyUnknown`, `HostKeyChanged`, `HostKeyRevoked` or `HostCertificateInvalid`.
    """
    shown = f"{key_type} {fingerprint(blob)}"
    presented = key_line(key_type, blob)
    if _among(blob, endpoint.revoked_keys):
        raise HostKeyRevoked(f"{endpoint} shows the host key {shown}, which was revoked", presented=presented)
    if _among(blob, endpoint.host_keys):
        return
    if endpoint.authorities and certificate:
        _verify_certificate(endpoint, presented, certificate)
        return
    if not endpoint.host_keys:
        missing = "and no host certificate" if endpoint.authorities else ""
        raise HostKeyUnknown(
            f"No host key is trusted for {endpoint}; it shows {shown} {missing}".rstrip(), presented=presented
        )
    trusted = [known for known in map(key_blob, endpoint.host_keys) if known]
    expected = ", ".join(fingerprint(known) for known in trusted) or "no readable key"
    raise HostKeyChanged(
        f"{endpoint} shows the host key {shown}, but trusted is {expected}", presented=presented
    )


def _among(blob: bytes, lines: Iterable[str]) -> bool:
    return any(known and hmac.compare_digest(known, blob) for known in map(key_blob, lines))


def _verify_certificate(endpoint: Endpoint, presented: str, blob: bytes) -> None:
    """The checks of OpenSSH's PROTOCOL.certkeys for a host, and one more: it must name somebody."""
    key_type = blob[4 : 4 + int.from_bytes(blob[:4], "big")].decode("ascii", "replace")
    try:
        found = read_certificate(key_line(key_type, blob))
        wrong = _fault_of(endpoint, presented, found)
    except CertificateError as fault:
        wrong = str(fault)
    if wrong:
        raise HostCertificateInvalid(
            f"The host certificate that {endpoint} shows does not hold", cause_hint=wrong, presented=presented
        )


def _fault_of(endpoint: Endpoint, presented: str, found: Certificate) -> str:
    """Why this certificate does not prove that the machine is the endpoint; empty when it does."""
    if found.kind != "host":
        return "It is a certificate for users"
    if found.public_key != presented:
        return "It is for another key than the one that was shown"
    if not _among(key_blob(found.authority), endpoint.authorities):
        return f"Its authority {found.authority_fingerprint} is not trusted for this target"
    if _among(key_blob(found.authority), endpoint.revoked_keys):
        return f"Its authority {found.authority_fingerprint} was revoked"
    if found.expired():
        return f"It was valid until {_moment(found.valid_before)}"
    if found.not_yet_valid():
        return f"It is valid from {_moment(found.valid_after)} only; this machine's clock may be wrong"
    if found.critical_options:
        return f"It demands what we do not know: {', '.join(found.critical_options)[:100]}"
    if not found.principals:
        return "It names no target, so it would hold for any"
    if not _is_for(endpoint, found.principals):
        return f"It is for {', '.join(found.principals)[:150]}"
    return ""


def _is_for(endpoint: Endpoint, principals: Iterable[str]) -> bool:
    """As in OpenSSH, the names in a host certificate may be patterns with * and ?."""
    names = {name.lower() for name in (endpoint.host, *endpoint.principals)}
    return any(_matches(name, pattern.lower()) for pattern in principals for name in names)


def _moment(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return "a time beyond calendars"


def known_host_keys(source: Path, endpoint: Endpoint) -> tuple[str, ...]:
    """The keys that an OpenSSH known_hosts file has for this endpoint, without revoked ones.

    Hashed names, patterns and `[name]:port` are understood. Raises `KnownHostsUnusable`.
    """
    lines = _lines_for(source, endpoint)
    revoked = {key for marker, key in lines if marker == "@revoked"}
    return tuple(dict.fromkeys(key for marker, key in lines if not marker and key not in revoked))


def known_endpoint(source: Path, endpoint: Endpoint) -> Endpoint:
    """The endpoint with all that the file says of it: keys, `@cert-authority` and `@revoked` lines.

    Raises `KnownHostsUnusable`.
    """
    lines = _lines_for(source, endpoint)
    revoked = tuple(dict.fromkeys(key for marker, key in lines if marker == "@revoked"))
    return replace(
        endpoint,
        host_keys=known_host_keys(source, endpoint),
        authorities=tuple(
            dict.fromkeys(key for marker, key in lines if marker == "@cert-authority" and key not in revoked)
        ),
        revoked_keys=revoked,
    )


def _lines_for(source: Path, endpoint: Endpoint) -> list[tuple[str, str]]:
    """Marker and key of each line that means this endpoint."""
    try:
        lines = source.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as fault:
        raise KnownHostsUnusable(f"{source} cannot be read", cause_hint=fault.strerror or "") from None
    name = endpoint.host.lower()
    if endpoint.port != 22:
        name = f"[{name}]:{endpoint.port}"
    found = []
    for line in lines:
        fields = line.split()
        marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
        if len(fields) >= 3 and not fields[0].startswith("#") and _names(fields[0], name):
            found.append((marker, f"{fields[1]} {fields[2]}"))
    return found


def _names(patterns: str, name: str) -> bool:
    """Whether the first field of a known_hosts line means this name; a matching `!pattern` excludes it."""
    if patterns.startswith("|1|"):
        return _is_hash_of(patterns, name)
    matched = False
    for pattern in patterns.lower().split(","):
        if _matches(name, pattern.removeprefix("!")):
            if pattern.startswith("!"):
                return False
            matched = True
    return matched


def _matches(name: str, pattern: str) -> bool:
    # Only * and ? are special to OpenSSH, but fnmatch also knows [ ], which `[name]:port` has.
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def _is_hash_of(hashed: str, name: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part) for part in hashed.split("|")[2:4])
    except (ValueError, binascii.Error):
        return False
    # OpenSSH hashes names with SHA-1; here it only hides names, it proves nothing.
    return hmac.compare_digest(hmac.new(salt, name.encode(), "sha1").digest(), digest)
