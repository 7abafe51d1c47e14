"""Secrets that HashiCorp Vault or OpenBao keeps: read when they are used. Knows no Django."""

from __future__ import annotations

import difflib
import re
import ssl
import tempfile
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import hvac
import requests
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, Unauthorized, VaultError

from credentials.secret import Secret

TIMEOUT_SECONDS: Final = 4.0
KEPT_SECONDS: Final = 30.0
"""For so long what was read is used again, in memory alone."""

NAMES: Final = (
    "password",
    "private_key",
    "passphrase",
    "become_password",
    "keytab",
    "client_certificate",
)
"""What an entry may give."""
_PATH: Final = re.compile(r"[A-Za-z0-9_.@-]+(/[A-Za-z0-9_.@-]+)*")


class VaultUnusable(Exception):
    """A secret could not be read. `code` is `vault.unreachable`, `vault.denied` or `vault.missing`,
    or that of a CredentialError where what was read is no usable keytab or certificate."""

    def __init__(self, code: str, message: str, next_step: str) -> None:
        super().__init__(f"{message} {next_step}")
        self.code, self.message, self.next_step = code, message, next_step


class EntryError(ValueError):
    """The place of a secret is not told as it must be; `field` names the part."""

    def __init__(self, part: str, message: str) -> None:
        super().__init__(message)
        self.part = part


@dataclass(frozen=True, slots=True)
class VaultEntry:
    """Where a secret is, in a key-value engine of version 1 or 2, and how we prove that we may read it.

    `keys` says under which key of the entry each secret is, for instance `{"password": "pw"}`; a keytab is
    there in base64, a client certificate as PEM beside its `private_key`. `ca` is the PEM
    text of the authority that signed the server's certificate; empty: those this machine trusts.
    """

    address: str
    path: str
    keys: Mapping[str, str]
    mount: str = "secret"
    engine: Literal["1", "2"] = "2"
    namespace: str = ""
    auth: Literal["token", "approle"] = "token"
    role_id: str = ""
    auth_mount: str = "approle"
    ca: str = field(default="", repr=False)


def read_entry(values: Mapping[str, Any]) -> VaultEntry:
    """The entry that these values describe. Raises EntryError."""
    _check_names(values)
    for name in ("address", "path", "keys"):
        if not values.get(name):
            raise EntryError(name, "Must be given.")
    entry = VaultEntry(**{name: value for name, value in values.items() if value or name in ("ca",)})
    _check_address(entry.address)
    for name, text in (("path", entry.path), ("mount", entry.mount), ("auth_mount", entry.auth_mount)):
        if not _PATH.fullmatch(text) or ".." in text:
            raise EntryError(name, "Write letters, digits and _ . @ -, parts separated by single slashes.")
    if entry.auth not in ("token", "approle"):
        raise EntryError("auth", "Must be token or approle.")
    if entry.engine not in ("1", "2"):
        raise EntryError("engine", 'Must be "1" or "2", the version of the key-value engine.')
    if entry.auth == "approle" and not entry.role_id:
        raise EntryError("role_id", "Must be given for approle.")
    _check_keys(entry.keys)
    _check_ca(entry.ca)
    return entry


def _check_names(values: Mapping[str, Any]) -> None:
    known = VaultEntry.__dataclass_fields__
    for name, value in values.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}."
            raise EntryError(name, f"Unknown key{hint}")
        if name != "keys" and not isinstance(value, str):
            raise EntryError(name, "Must be text.")


def _check_address(address: str) -> None:
    try:
        parts = urlsplit(address)
        good = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.username or parts.query or parts.fragment or parts.path.strip("/"):
        raise EntryError("address", "Write it like https://vault.example.org:8200; only https is spoken.")


def _check_keys(keys: object) -> None:
    if not isinstance(keys, Mapping) or not all(isinstance(key, str) and key for key in keys.values()):
        raise EntryError("keys", 'Write it like {"password": "name of its key"}.')
    if unknown := sorted(set(keys) - set(NAMES)):
        raise EntryError("keys", f"Unknown secret {unknown[0]!r}; there are {', '.join(NAMES)}.")
    _check_together(set(keys))


def _check_together(given: set[str]) -> None:
    if "client_certificate" in given and "private_key" not in given:
        raise EntryError("keys", "A client_certificate needs its private_key.")
    if not entry_proofs(given):
        raise EntryError("keys", "Must give a password, a private_key or a keytab.")
    if "keytab" in given and given != {"keytab"}:
        raise EntryError("keys", "A keytab stands alone: leave the others out.")
    if "client_certificate" in given and not given <= {"client_certificate", "private_key", "passphrase"}:
        raise EntryError("keys", "A client_certificate goes with private_key and passphrase alone.")


def entry_proofs(keys: Collection[str]) -> frozenset[str]:
    """What one can log in with that is given these secrets; a certificate is nothing without its key."""
    given = set(keys)
    if {"client_certificate", "private_key"} <= given:
        return frozenset(("client_certificate",))
    return frozenset(given & {"password", "private_key", "keytab"})


def _check_ca(ca: str) -> None:
    if not ca:
        return
    try:
        ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError):
        raise EntryError("ca", "Must be one or more certificates as PEM text.") from None


def look_up(entry: VaultEntry, proof: Secret) -> dict[str, Secret]:
    """The secrets of the entry, by their names in `keys`. `proof` is the token, or AppRole's secret id.

    Takes a few seconds at most. Raises VaultUnusable, whose text holds no secret.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(entry.ca)
        file.flush()
        client = hvac.Client(
            url=entry.address,
            token="",  # none from this process's environment or home
            namespace=entry.namespace or None,
            verify=file.name if entry.ca else True,
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
        )
        problem = None
        try:
            return _read(client, entry, proof)
        except (
            VaultUnusable,
            VaultError,
            requests.RequestException,
            ValueError,
            TypeError,
            KeyError,
        ) as error:
            problem = _told(entry, error)
        finally:
            client.session.close()
    raise problem  # here, where no other error is its context: theirs may hold what was sent


def _read(client: hvac.Client, entry: VaultEntry, proof: Secret) -> dict[str, Secret]:
    if entry.auth == "approle":
        client.auth.approle.login(entry.role_id, proof.reveal(), mount_point=entry.auth_mount)
    else:
        client.token = proof.reveal()
    data = _data(client, entry)
    found = {}
    for name, key in entry.keys.items():
        if not isinstance(data.get(key), str) or not data[key]:
            raise _missing(entry, f"has no text under the key {key!r}")
        found[name] = Secret(data[key])
    return found


def _data(client: hvac.Client, entry: VaultEntry) -> Mapping[str, Any]:
    data: Mapping[str, Any]
    if entry.engine == "1":
        data = client.secrets.kv.v1.read_secret(path=entry.path, mount_point=entry.mount)["data"]
    else:
        answer = client.secrets.kv.v2.read_secret_version(
            path=entry.path, mount_point=entry.mount, raise_on_deleted_version=True
        )
        data = answer["data"]["data"]
    return data


def _missing(entry: VaultEntry, what: str) -> VaultUnusable:
    return VaultUnusable(
        "vault.missing",
        f"The entry {entry.mount}/{entry.path} at {entry.address} {what}.",
        "Correct the path (it begins after the mount, without data/), the keys or the engine (a key-value "
        f"engine of version {entry.engine} was asked) of the credential, or write the entry.",
    )


def _told(entry: VaultEntry, error: Exception) -> VaultUnusable:
    if isinstance(error, VaultUnusable):
        return error
    if isinstance(error, InvalidPath):
        return _missing(entry, "does not exist, or its newest version was deleted")
    if isinstance(error, Forbidden | Unauthorized | InvalidRequest):
        return VaultUnusable(
            "vault.denied",
            f"{entry.address} does not let us read {entry.mount}/{entry.path}: our {_proof(entry)} is wrong, "
            "has expired, or its policy does not allow it.",
            f"Enter a new {_proof(entry)}, or extend its policy by read on {_policy_path(entry)}.",
        )
    if isinstance(error, requests.exceptions.SSLError):
        what = "shows a certificate that is not trusted"
    elif isinstance(error, requests.Timeout):
        what = f"did not answer within {TIMEOUT_SECONDS:g} s"
    elif isinstance(error, requests.ConnectionError):
        what = "cannot be reached"
    else:
        what = "is sealed, overloaded, or no Vault or OpenBao"
    return VaultUnusable(
        "vault.unreachable", f"{entry.address} {what}.", "Check the server and its address, then try again."
    )


def _policy_path(entry: VaultEntry) -> str:
    return f"{entry.mount}/{entry.path}" if entry.engine == "1" else f"{entry.mount}/data/{entry.path}"


def _proof(entry: VaultEntry) -> str:
    return "secret id" if entry.auth == "approle" else "token"


class VaultReader:
    """Looks up, and for KEPT_SECONDS remembers in memory what it read. Used by several threads."""

    def __init__(self, *, kept: float = KEPT_SECONDS) -> None:
        self._kept = kept
        self._known: dict[object, tuple[float, dict[str, Secret]]] = {}

    def read(self, key: object, entry: VaultEntry, proof: Secret) -> dict[str, Secret]:
        """As `look_up`; `key` names the credential and its version."""
        now = time.monotonic()
        for old in [k for k, (until, _) in list(self._known.items()) if until <= now]:
            self._known.pop(old, None)
        known = self._known.get(key)
        if known is None:
            known = (time.monotonic() + self._kept, look_up(entry, proof))
            self._known[key] = known
        return known[1]
