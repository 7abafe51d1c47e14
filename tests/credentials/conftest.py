"""Credentials, keys, and a look at what the database really holds."""

from collections.abc import Callable
from functools import cache

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from django.db import connection
from pytest_django.fixtures import Settings

from credentials.models import Credential
from credentials.secret import Secret

CANARY = "kanarie-9f3b7c21d8e4"

_MAKERS: dict[str, Callable[[], object]] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "small rsa": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505 -- to be refused
    "dsa": lambda: dsa.generate_private_key(1024),  # noqa: S505 -- to be refused
}


@cache
def key_of(kind: str) -> object:
    return _MAKERS[kind]()


def key_file(
    kind: str = "ed25519", passphrase: str | None = None, form: PrivateFormat = PrivateFormat.OpenSSH
) -> Secret:
    """A private key's file."""
    hidden = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return Secret(key_of(kind).private_bytes(Encoding.PEM, form, hidden).decode())  # type: ignore[attr-defined]


def public_file(kind: str = "ed25519") -> str:
    """The public key's line."""
    public = key_of(kind).public_key()  # type: ignore[attr-defined]
    return str(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())


def stored_column(row: int, table: str = "credentials_credential") -> str:
    """The bytes of the secret column, past Django."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT sealed FROM {table} WHERE id = %s", [row])  # noqa: S608 -- a constant
        return str(cursor.fetchone()[0])


def write_column(row: int, value: str, table: str = "credentials_credential") -> None:
    """What somebody with the database's password can do."""
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET sealed = %s WHERE id = %s", [value, row])  # noqa: S608


def make(name: str = "web login", *, text: str = CANARY) -> Credential:
    credential = Credential(name=name, kind="password", username="ann")
    credential.set_secrets(password=Secret(text))
    return credential


@pytest.fixture
def credential(db: None) -> Credential:
    return make()


@pytest.fixture
def other_key(settings: Settings) -> str:
    """From here on another key is configured. Gives the old one."""
    old: str = settings.FIELD_ENCRYPTION_KEY[0]
    settings.FIELD_ENCRYPTION_KEY = [Fernet.generate_key().decode()]
    return old
