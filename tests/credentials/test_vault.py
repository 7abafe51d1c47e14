"""Secrets that a Vault keeps; the server is a real OpenBao."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from automation.libraries.windows.types import WindowsCredentials
from automation.workers.logins import Logins
from credentials.models import Credential
from credentials.rules import CredentialError
from credentials.secret import Secret
from credentials.trial import try_credential
from credentials.vault import EntryError, VaultReader, VaultUnusable, look_up, read_entry
from tests.credentials.bao import Bao
from tests.credentials.kerberos import keytab
from tests.libraries.sshd import free_port
from tests.libraries.windows.certificates import Authority

WORD = "kept-in-the-vault-4711"


@pytest.fixture(scope="module")
def bao() -> Iterator[Bao]:
    server = Bao()
    yield server
    server.stop()


def in_vault(entry: dict[str, Any], proof: str) -> Credential:
    credential = Credential(name="web", kind="vault", username="deploy", vault=entry)
    credential.set_secrets(vault_secret=Secret(proof))
    return Credential.objects.get(pk=credential.pk)


def refused(entry: dict[str, Any], proof: str) -> VaultUnusable:
    with pytest.raises(VaultUnusable) as caught:
        look_up(read_entry(entry), Secret(proof))
    assert proof not in str(caught.value)
    assert caught.value.__context__ is None
    assert caught.value.next_step
    return caught.value


def test_a_token_reads_the_entry(bao: Bao) -> None:
    bao.put(pw=WORD, sudo="for-sudo")
    found = look_up(
        read_entry(bao.entry(keys={"password": "pw", "become_password": "sudo"})), Secret(bao.token())
    )
    assert found == {"password": Secret(WORD), "become_password": Secret("for-sudo")}


def test_an_app_role_reads_the_entry(bao: Bao) -> None:
    bao.put(pw=WORD)
    role, secret_id = bao.app_role()
    found = look_up(read_entry(bao.entry(auth="approle", role_id=role)), Secret(secret_id))
    assert found == {"password": Secret(WORD)}


def test_a_namespace_is_asked_for_its_own_entry(bao: Bao) -> None:
    bao.put(pw="of the root")
    bao.root.sys.create_namespace("team")
    team = bao.client("")
    team.token, team.adapter.namespace = bao.root.token, "team"
    team.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
    team.secrets.kv.v2.create_or_update_secret("linux/web", {"pw": WORD})
    found = look_up(read_entry(bao.entry(namespace="team")), Secret(bao.root.token))
    assert found == {"password": Secret(WORD)}


def test_an_entry_of_the_older_engine_is_read_where_the_credential_says_so(bao: Bao) -> None:
    bao.root.sys.enable_secrets_engine("kv", path="old", options={"version": "1"})
    bao.root.secrets.kv.v1.create_or_update_secret("linux/web", {"pw": WORD}, mount_point="old")
    entry = bao.entry(mount="old", engine="1")
    assert look_up(read_entry(entry), Secret(bao.root.token)) == {"password": Secret(WORD)}
    assert "read on old/linux/web." in refused(entry, bao.token()).next_step
    assert "version 2 was asked" in refused(bao.entry(mount="old"), bao.root.token).next_step


def test_a_wrong_token_is_denied(bao: Bao) -> None:
    bao.put(pw=WORD)
    assert refused(bao.entry(), "s.wrong-token-0815").code == "vault.denied"


def test_a_wrong_secret_id_is_denied(bao: Bao) -> None:
    entry = bao.entry(auth="approle", role_id=bao.app_role()[0])
    assert refused(entry, "wrong-secret-id-0815").code == "vault.denied"


def test_what_the_policy_forbids_is_denied(bao: Bao) -> None:
    assert refused(bao.entry(path="linux/other"), bao.token()).code == "vault.denied"


def test_an_entry_that_is_not_there_is_missing(bao: Bao) -> None:
    assert refused(bao.entry(path="linux/none"), bao.root.token).code == "vault.missing"


def test_a_key_that_the_entry_does_not_have_is_missing(bao: Bao) -> None:
    bao.put(pw=WORD)
    error = refused(bao.entry(keys={"password": "other"}), bao.token())
    assert error.code == "vault.missing"
    assert WORD not in str(error)


def test_a_server_that_is_not_there_is_unreachable(bao: Bao) -> None:
    entry = bao.entry(address=f"https://127.0.0.1:{free_port()}")
    assert refused(entry, "any-token-0815").code == "vault.unreachable"


def test_a_server_whose_certificate_nobody_vouches_for_gets_no_token(bao: Bao) -> None:
    error = refused(bao.entry(ca=""), "any-token-0815")
    assert error.code == "vault.unreachable"
    assert "certificate that is not trusted" in str(error)


def test_a_sealed_server_is_unreachable(bao: Bao) -> None:
    other = Bao()
    try:
        other.root.sys.seal()
        assert refused(other.entry(), "any-token-0815").code == "vault.unreachable"
    finally:
        other.stop()


def test_what_was_read_is_kept_for_a_moment_only(bao: Bao) -> None:
    bao.put(pw="old")
    entry, proof = read_entry(bao.entry()), Secret(bao.token())
    patient, forgetful = VaultReader(), VaultReader(kept=0.0)
    for reader in (patient, forgetful):
        reader.read("it", entry, proof)
    bao.put(pw="new")
    assert patient.read("it", entry, proof) == {"password": Secret("old")}
    assert forgetful.read("it", entry, proof) == {"password": Secret("new")}


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("address", "http://vault.example.org"),
        ("address", "https://user:word@vault.example.org"),
        ("address", "https://"),
        ("path", "../sys/seal"),
        ("path", "a//b"),
        ("mount", "secret/../sys"),
        ("keys", {"token": "x"}),
        ("keys", {"passphrase": "x"}),
        ("keys", {"client_certificate": "x"}),
        ("keys", {"keytab": "x", "password": "y"}),
        ("keys", {"client_certificate": "x", "private_key": "y", "password": "z"}),
        ("auth", "ldap"),
        ("ca", "no certificate"),
        ("role_id", 7),
        ("engine", "3"),
        ("colour", "red"),
    ],
)
def test_an_entry_that_cannot_be_used_is_refused_by_part(part: str, value: Any) -> None:
    good = {"address": "https://vault.example.org:8200", "path": "linux/web", "keys": {"password": "pw"}}
    with pytest.raises(EntryError) as caught:
        read_entry(good | {part: value})
    assert caught.value.part == part


def test_a_misspelt_part_of_an_entry_is_told_with_the_one_meant() -> None:
    with pytest.raises(EntryError, match="did you mean 'address'"):
        read_entry({"adress": "https://vault.example.org"})


@pytest.mark.django_db
def test_a_trial_says_what_there_is_and_shows_nothing(bao: Bao) -> None:
    bao.put(pw=WORD)
    trial = try_credential(in_vault(bao.entry(), bao.token()))
    assert (trial.success, trial.gives) == (True, ("password",))
    assert WORD not in str(trial)


@pytest.mark.django_db
def test_a_keytab_is_read_from_the_vault_and_must_hold_the_login(bao: Bao) -> None:
    bao.put(table=keytab("ops@EXAMPLE.COM"))
    credential = in_vault(bao.entry(keys={"keytab": "table"}), bao.token())
    credential.username = "ops@EXAMPLE.COM"
    given = Logins().of(credential, credential.username).credentials
    assert isinstance(given, WindowsCredentials)
    assert given.keytab == Secret(keytab("ops@EXAMPLE.COM"))
    assert credential.proves_by() == {"keytab"}
    credential.username = "Ops@EXAMPLE.COM"
    trial = try_credential(credential)
    assert trial.code == "credential.keytab_other_principal" and "in the vault" in trial.next_step


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("expired", "other_key", "code"),
    [
        (False, False, "ok"),
        (True, False, "credential.certificate_expired"),
        (False, True, "credential.certificate_other_key"),
    ],
)
def test_a_client_certificate_is_read_from_the_vault_beside_its_key(
    bao: Bao, expired: bool, other_key: bool, code: str
) -> None:
    authority = Authority("ours")
    certificate, key = authority.issue("ops", client=True, expired=expired)
    if other_key:
        _, key = authority.issue("other", client=True)
    name = f"crt {code}"  # another entry each time, for what was read is kept a moment
    bao.put(**{name: certificate, "key": key})
    entry = bao.entry(keys={"client_certificate": name, "private_key": "key"})
    credential = in_vault(entry, bao.token())
    assert credential.proves_by() == {"client_certificate"}
    trial = try_credential(credential)
    assert trial.code == code and key not in str(trial)
    if trial.success:
        given = Logins().of(credential, "ops").credentials
        assert isinstance(given, WindowsCredentials) and given.client_certificate == certificate


@pytest.mark.django_db
def test_the_row_holds_the_token_encrypted_and_nothing_that_was_read(bao: Bao) -> None:
    bao.put(pw=WORD)
    proof = bao.token()
    credential = in_vault(bao.entry(), proof)
    assert credential.login_secrets().password == Secret(WORD)
    (stored,) = Credential.objects.values()
    assert WORD not in str(stored)
    assert proof not in str(stored)


@pytest.mark.django_db
def test_an_entry_moved_to_another_server_needs_its_token_again(bao: Bao) -> None:
    before = in_vault(bao.entry(), bao.token())
    moved = Credential(kind="vault", vault=bao.entry(address="https://evil.example.org"))
    with pytest.raises(CredentialError) as caught:
        moved.check_entry(before=before, proof=None)
    assert caught.value.code == "credential.vault_secret_needed"
    moved.check_entry(before=before, proof=Secret("given anew"))
