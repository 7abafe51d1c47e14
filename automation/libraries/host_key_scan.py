"""Which host keys does a target have? Asked without logging in: it is sent no name and no secret."""

from __future__ import annotations

from dataclasses import dataclass

from automation.libraries.deadlines import Deadlines
from automation.libraries.errors import LibraryError, NoCommonAlgorithm
from automation.libraries.host_identity import KEY_ALGORITHMS, key_line
from automation.libraries.ssh_connection import Approach, Carry, carry_alone
from automation.libraries.types import Endpoint
from credentials.certificates import SUFFIX, CertificateError, read_certificate


@dataclass(frozen=True, slots=True)
class ScannedKey:
    """One host key as the target shows it: `ssh-ed25519 AAAAC3…`.

    `authority` is the fingerprint of the key that signed the host certificate around it, if there is one.
    """

    line: str
    authority: str = ""


def scan_host_keys(
    endpoint: Endpoint, *, limits: Deadlines | None = None, carry: Carry | None = None
) -> tuple[ScannedKey, ...]:
    """One key of each type that the target has and we accept, by one connection for each type.

    Nothing is believed and nothing is sent but the greeting and the key exchange; a bastion on the way is
    logged in to as always. Raises what happens before a login, when not even one key was shown.
    """
    limits = limits or Deadlines()
    found: list[ScannedKey] = []
    lacking: LibraryError | None = None
    for algorithms in KEY_ALGORITHMS.values():
        certified = tuple(f"{name}{SUFFIX}" for name in algorithms)
        try:
            found.append(_shown(endpoint, limits, carry or carry_alone(limits), (*certified, *algorithms)))
        except NoCommonAlgorithm as error:
            lacking = error
        except LibraryError:
            if found:
                break  # what has been shown is worth more than a fault of a later try
            raise
    if not found and lacking is not None:
        raise lacking
    return tuple(found)


def _shown(endpoint: Endpoint, limits: Deadlines, carry: Carry, algorithms: tuple[str, ...]) -> ScannedKey:
    approach = Approach(endpoint, limits, carry=carry)
    try:
        key_type, blob, certificate = approach.show_host_key(algorithms).shown_key()
    finally:
        approach.give_up()
    return ScannedKey(key_line(key_type, blob), _authority(certificate))


def _authority(certificate: bytes) -> str:
    if not certificate:
        return ""
    key_type = certificate[4 : 4 + int.from_bytes(certificate[:4], "big")].decode("ascii", "replace")
    try:
        return read_certificate(key_line(key_type, certificate)).authority_fingerprint
    except CertificateError:
        return ""
