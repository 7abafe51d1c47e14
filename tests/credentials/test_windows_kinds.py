"""Keytabs and client certificates as credentials: what is taken, what is refused, and why."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pytest_django.fixtures import Settings

from credentials.client_certificates import read_client_certificate
from credentials.keytabs import read_keytab
from credentials.models import Credential
from credentials.rotation import rotate_keys
from credentials.rules import CredentialError, CredentialSecrets, check_secrets
from credentials.secret import Secret
from credentials.trial import try_credential
from tests.credentials.kerberos import keytab
from tests.libraries.windows.certificates import Authority

OPS = "ops@EXAMPLE.COM"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("logins")


@pytest.fixture(scope="module")
def paper(authority: Authority) -> tuple[str, str]:
    return authority.issue("ops", client=True)


def refusal(kind: str, *, username: str = OPS, certificate: str = "", **secrets: str) -> tuple[str, str]:
    """Code and field."""
    given = CredentialSecrets(**{name: Secret(text) for name, text in secrets.items()})
    with pytest.raises(CredentialError) as caught:
        check_secrets(kind, given, username=username, certificate=certificate)
    assert not any(text.strip() and text in str(caught.value) for text in secrets.values())
    return str(caught.value.code), caught.value.field


def with_certificate(paper: tuple[str, str]) -> Credential:
    credential = Credential(name="c", kind="client_certificate", username="ops", certificate=paper[0])
    credential.clean()
    credential.set_secrets(private_key=Secret(paper[1]))
    return credential


@pytest.mark.parametrize("holes", [False, True])
def test_a_keytab_tells_whose_keys_it_holds(holes: bool) -> None:
    found = read_keytab(Secret(keytab(OPS, "HTTP/web1@EXAMPLE.COM", holes=holes)))
    assert [each.principal for each in found] == [OPS, "HTTP/web1@EXAMPLE.COM"]
    assert (found[0].version, found[0].encryption) == (3, 18)


def test_a_keytab_may_be_pasted_in_lines() -> None:
    text = keytab(OPS)
    check_secrets("keytab", CredentialSecrets(keytab=Secret(f"{text[:40]}\n{text[40:]}\n")), username=OPS)


@pytest.mark.parametrize(
    ("text", "username", "code", "field"),
    [
        ("no base64!", OPS, "credential.keytab_unreadable", "keytab"),
        (base64.b64encode(b"\x05\x01old").decode(), OPS, "credential.keytab_unreadable", "keytab"),
        (keytab(OPS)[:-12], OPS, "credential.keytab_unreadable", "keytab"),
        (base64.b64encode(b"\x05\x02").decode(), OPS, "credential.keytab_empty", "keytab"),
        (keytab(OPS), "ops", "credential.keytab_user", "username"),
        (keytab(OPS), "CORP\\ops", "credential.keytab_user", "username"),
        (keytab(OPS), "Ops@EXAMPLE.COM", "credential.keytab_other_principal", "keytab"),
        (" ", OPS, "credential.empty", "keytab"),
    ],
)
def test_a_keytab_that_cannot_log_in_is_refused(text: str, username: str, code: str, field: str) -> None:
    assert refusal("keytab", username=username, keytab=text) == (code, field)


def test_a_kind_takes_its_own_secrets_alone(paper: tuple[str, str]) -> None:
    assert refusal("keytab") == ("credential.keytab_missing", "keytab")
    assert refusal("password", password="x", keytab="x") == ("credential.keytab_not_allowed", "keytab")
    more = refusal("keytab", keytab=keytab(OPS), password="long enough")
    assert more == ("credential.secret_not_allowed", "password")
    more = refusal("client_certificate", certificate=paper[0], private_key=paper[1], password="long enough")
    assert more == ("credential.secret_not_allowed", "password")


def test_a_certificate_must_be_readable_for_logins_and_of_its_key(
    authority: Authority, paper: tuple[str, str]
) -> None:
    certificate, key = paper
    kind = "client_certificate"
    assert refusal(kind, private_key=key) == ("credential.certificate_missing", "certificate")
    assert refusal(kind, private_key=key, certificate="-----BEGIN") == (
        "credential.certificate_unreadable",
        "certificate",
    )
    _, other = authority.issue("ops", client=True)
    assert refusal(kind, private_key=other, certificate=certificate)[0] == "credential.certificate_other_key"
    server, its_key = authority.issue("ops.example.com")
    refused = refusal(kind, private_key=its_key, certificate=server)
    assert refused[0] == "credential.certificate_not_for_logins"
    assert refusal(kind, certificate=certificate) == ("credential.key_missing", "private_key")


def test_a_key_must_be_pem_and_open_with_its_passphrase(paper: tuple[str, str]) -> None:
    certificate, text = paper
    key = load_pem_private_key(text.encode(), None)
    sealed = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open it")
    ).decode()
    kind = "client_certificate"
    given = CredentialSecrets(private_key=Secret(sealed), passphrase=Secret("open it"))
    check_secrets(kind, given, certificate=certificate)
    wrong = refusal(kind, private_key=sealed, passphrase="not this one", certificate=certificate)
    assert wrong == ("credential.passphrase_wrong", "passphrase")
    missing = refusal(kind, private_key=sealed, certificate=certificate)
    assert missing == ("credential.passphrase_missing", "passphrase")
    foreign = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    refused = refusal(kind, private_key=foreign.decode(), certificate=certificate)
    assert refused == ("credential.key_not_pem", "private_key")


@pytest.mark.django_db
def test_a_certificate_ends_its_credential_and_a_new_one_brings_its_own_end(
    authority: Authority, paper: tuple[str, str]
) -> None:
    credential = with_certificate(paper)
    ends = read_client_certificate(paper[0]).ends_at
    assert Credential.objects.get().expires_at == ends
    assert credential.expiry == "soon"
    sooner = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    credential.expires_at = sooner
    credential.clean()
    assert credential.expires_at == sooner
    credential.expires_at = ends + timedelta(days=90)
    credential.clean()
    assert credential.expires_at == ends
    Credential.objects.update(expires_at=ends - timedelta(hours=2))
    credential.expires_at = ends - timedelta(hours=2)
    credential.certificate = authority.issue("ops", client=True)[0]
    credential.clean()
    assert credential.expires_at == read_client_certificate(credential.certificate).ends_at


@pytest.mark.django_db
def test_an_expired_certificate_is_refused_when_it_is_entered_and_can_still_be_disabled(
    authority: Authority,
) -> None:
    certificate, key = authority.issue("ops", client=True, expired=True)
    credential = Credential(name="c", kind="client_certificate", username="ops", certificate=certificate)
    with pytest.raises(CredentialError) as caught:
        credential.check_certificate(before=None)
    assert caught.value.code == "credential.certificate_expired"
    credential.clean()
    credential.set_secrets(private_key=Secret(key))
    stored = Credential.objects.get()
    assert stored.expired
    stored.check_certificate(before=Credential.objects.get())


@pytest.mark.django_db
def test_a_change_of_the_encryption_key_covers_both_kinds(paper: tuple[str, str], settings: Settings) -> None:
    with_certificate(paper)
    other = Credential(name="k", kind="keytab", username=OPS)
    other.set_secrets(keytab=Secret(keytab(OPS)))
    new = Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEY = [new, *settings.FIELD_ENCRYPTION_KEY]
    assert rotate_keys().rotated == 2
    settings.FIELD_ENCRYPTION_KEY = [new]
    trials = {row.name: try_credential(row) for row in Credential.objects.all()}
    assert {name: (trial.code, trial.gives) for name, trial in trials.items()} == {
        "c": ("ok", ("private_key",)),
        "k": ("ok", ("keytab",)),
    }
