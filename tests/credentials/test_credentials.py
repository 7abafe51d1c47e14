"""A credential: what may be set, who may know of it, and what it never tells."""

import dataclasses
import io
import json
import logging
import subprocess
import traceback
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import IntegrityError, transaction
from django.views.debug import ExceptionReporter

from credentials.models import Credential
from credentials.private_keys import as_openssh, key_facts
from credentials.rules import CredentialError, CredentialSecrets
from credentials.sealed import DecryptionError
from credentials.secret import Secret
from tests.credentials.conftest import CANARY, key_file, make, public_file, stored_column, write_column

pytestmark = pytest.mark.django_db


def key_credential(**secrets: Secret) -> Credential:
    credential = Credential(name="key login", kind="private_key", username="ann")
    credential.set_secrets(**(secrets or {"private_key": key_file()}))
    return credential


def again(credential: Credential) -> Credential:
    return Credential.objects.get(pk=credential.pk)


# Setting


def test_setting_secrets_on_a_new_credential_inserts_it() -> None:
    credential = make()
    assert again(credential).secrets() == CredentialSecrets(password=Secret(CANARY))
    assert again(credential).version == 1


def test_secrets_not_given_are_kept(credential: Credential) -> None:
    credential.set_secrets(become_password=Secret("for sudo"))
    assert again(credential).secrets() == CredentialSecrets(
        password=Secret(CANARY), become_password=Secret("for sudo")
    )
    assert again(credential).version == 2


def test_setting_what_is_stored_changes_neither_version_nor_column(credential: Credential) -> None:
    before = stored_column(credential.pk)
    credential.set_secrets(password=Secret(CANARY))
    credential.set_secrets()
    assert again(credential).version == 1
    assert stored_column(credential.pk) == before


def test_replacing_forgets_what_is_not_given(credential: Credential) -> None:
    credential.set_secrets(become_password=Secret("for sudo"))
    credential.replace_secrets(CredentialSecrets(password=Secret("new one")))
    assert again(credential).secrets() == CredentialSecrets(password=Secret("new one"))
    assert again(credential).version == 3


def test_a_stale_instance_overwrites_nothing_of_another_writer(credential: Credential) -> None:
    stale = again(credential)
    again(credential).set_secrets(become_password=Secret("for sudo"))
    Credential.objects.update(username="bob", enabled=False)
    stale.set_secrets(password=Secret("new one"))
    now = again(credential)
    assert now.secrets() == CredentialSecrets(password=Secret("new one"), become_password=Secret("for sudo"))
    assert (now.version, now.username, now.enabled) == (3, "bob", False)
    assert stale.version == 3


def test_secrets_that_cannot_be_read_can_only_be_replaced(credential: Credential, other_key: str) -> None:
    with pytest.raises(DecryptionError):
        credential.set_secrets(become_password=Secret("for sudo"))
    credential.replace_secrets(CredentialSecrets(password=Secret("new one")))
    assert again(credential).secrets() == CredentialSecrets(password=Secret("new one"))
    assert again(credential).version == 2


def test_setting_moves_the_time_of_change(credential: Credential) -> None:
    before = again(credential).updated_at
    credential.set_secrets(password=Secret("new one"))
    assert again(credential).updated_at > before


# Private keys


@pytest.mark.parametrize(
    ("kind", "form", "key_type"),
    [
        ("ed25519", PrivateFormat.OpenSSH, "ssh-ed25519"),
        ("ed25519", PrivateFormat.PKCS8, "ssh-ed25519"),
        ("ecdsa", PrivateFormat.OpenSSH, "ecdsa-sha2-nistp256"),
        ("ecdsa", PrivateFormat.TraditionalOpenSSL, "ecdsa-sha2-nistp256"),
        ("rsa", PrivateFormat.OpenSSH, "ssh-rsa"),
        ("rsa", PrivateFormat.TraditionalOpenSSL, "ssh-rsa"),
        ("rsa", PrivateFormat.PKCS8, "ssh-rsa"),
    ],
)
@pytest.mark.parametrize("passphrase", [None, "open sesame"])
def test_private_keys_are_read_and_their_public_facts_kept(
    kind: str, form: PrivateFormat, key_type: str, passphrase: str | None
) -> None:
    given = {"private_key": key_file(kind, passphrase, form)}
    if passphrase:
        given["passphrase"] = Secret(passphrase)
    credential = again(key_credential(**given))
    assert credential.key_type == key_type
    assert credential.key_fingerprint == key_facts(key_file(kind)).fingerprint
    assert credential.secrets().private_key == given["private_key"]


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_the_fingerprint_is_the_one_ssh_keygen_prints(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "key.pub"
    file.write_text(public_file(kind))
    printed = subprocess.check_output(["ssh-keygen", "-lf", str(file)], text=True)
    assert key_facts(key_file(kind)).fingerprint == printed.split()[1]


def test_a_pasted_key_with_dos_line_ends_and_spaces_is_read() -> None:
    pasted = Secret("\n  " + key_file().reveal().replace("\n", "\r\n") + "\r\n ")
    assert key_credential(private_key=pasted).key_type == "ssh-ed25519"


def test_every_form_of_key_is_given_out_as_openssh() -> None:
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        plain = as_openssh(key_file("rsa", "open sesame", form), Secret("open sesame"))
        assert plain.reveal().startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
        assert key_facts(plain) == key_facts(key_file("rsa"))


def test_a_new_key_forgets_the_old_passphrase() -> None:
    credential = key_credential(private_key=key_file("rsa", "old"), passphrase=Secret("old"))
    credential.set_secrets(private_key=key_file("ed25519"))
    assert again(credential).secrets().passphrase is None
    assert again(credential).key_type == "ssh-ed25519"


PUBLIC = Secret(public_file())
DAMAGED = Secret(key_file().reveal().replace("b3BlbnNza", "b3Blbn!za"))
CUT = Secret("\n".join(key_file().reveal().splitlines()[:3]))
PPK = Secret("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n" + CANARY)


@pytest.mark.parametrize(
    ("code", "field", "given"),
    [
        ("key_missing", "private_key", {"password": Secret(CANARY)}),
        ("passphrase_without_key", "private_key", {"passphrase": Secret(CANARY)}),
        ("empty", "private_key", {"private_key": Secret(" \n")}),
        ("key_unreadable", "private_key", {"private_key": Secret(CANARY)}),
        ("key_unreadable", "private_key", {"private_key": DAMAGED}),
        ("key_unreadable", "private_key", {"private_key": CUT}),
        ("key_unreadable", "private_key", {"private_key": CUT, "passphrase": Secret(CANARY)}),
        ("key_is_public", "private_key", {"private_key": PUBLIC}),
        ("key_is_putty", "private_key", {"private_key": PPK}),
        ("key_too_small", "private_key", {"private_key": key_file("small rsa", form=PrivateFormat.PKCS8)}),
        ("key_type_unsupported", "private_key", {"private_key": key_file("dsa", form=PrivateFormat.PKCS8)}),
        ("passphrase_missing", "passphrase", {"private_key": key_file("rsa", CANARY)}),
        ("passphrase_missing", "passphrase", {"private_key": key_file("rsa", CANARY, PrivateFormat.PKCS8)}),
        (
            "passphrase_wrong",
            "passphrase",
            {"private_key": key_file(passphrase="right"), "passphrase": Secret(CANARY)},
        ),
        (
            "passphrase_wrong",
            "passphrase",
            {
                "private_key": key_file("rsa", "right", PrivateFormat.TraditionalOpenSSL),
                "passphrase": Secret(CANARY),
            },
        ),
        ("passphrase_unneeded", "passphrase", {"private_key": key_file(), "passphrase": Secret(CANARY)}),
        ("empty", "passphrase", {"private_key": key_file(), "passphrase": Secret("")}),
        (
            "control_character",
            "become_password",
            {"private_key": key_file(), "become_password": Secret("a\n")},
        ),
    ],
)
def test_an_unusable_key_credential_is_refused_without_telling(
    code: str, field: str, given: dict[str, Secret]
) -> None:
    with pytest.raises(CredentialError) as caught:
        key_credential(**given)
    assert (caught.value.code, caught.value.field) == (f"credential.{code}", field)
    assert not Credential.objects.exists()
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    page = ExceptionReporter(None, CredentialError, caught.value, caught.value.__traceback__)
    for text in (shown, page.get_traceback_html()):
        # The frames of this test hold only Secrets, too.
        assert CANARY not in text
        assert key_file().reveal().splitlines()[2] not in text


@pytest.mark.parametrize(
    ("code", "field", "given"),
    [
        ("password_missing", "password", {"become_password": Secret(CANARY)}),
        ("empty", "password", {"password": Secret("")}),
        ("empty", "become_password", {"password": Secret(CANARY), "become_password": Secret(" ")}),
        ("control_character", "password", {"password": Secret(CANARY + "\n")}),
        ("control_character", "password", {"password": Secret("a\0b")}),
        ("key_not_allowed", "private_key", {"password": Secret(CANARY), "private_key": key_file()}),
        ("key_not_allowed", "passphrase", {"password": Secret(CANARY), "passphrase": Secret("x")}),
    ],
)
def test_an_unusable_password_credential_is_refused(code: str, field: str, given: dict[str, Secret]) -> None:
    credential = Credential(name="web login", kind="password", username="ann")
    with pytest.raises(CredentialError) as caught:
        credential.set_secrets(**given)
    assert (caught.value.code, caught.value.field) == (f"credential.{code}", field)
    assert CANARY not in str(caught.value)
    assert not Credential.objects.exists()


def test_a_refused_change_leaves_the_stored_secrets(credential: Credential) -> None:
    with pytest.raises(CredentialError):
        credential.set_secrets(password=Secret(""))
    assert again(credential).secrets().password == Secret(CANARY)


def test_the_database_refuses_a_password_credential_with_a_keys_facts() -> None:
    credential = key_credential()
    credential.kind = "password"
    with pytest.raises(IntegrityError), transaction.atomic():
        credential.save(update_fields=["kind"])


def test_a_kind_is_changed_together_with_its_secrets() -> None:
    credential = key_credential()
    credential.kind = "password"
    credential.replace_secrets(CredentialSecrets(password=Secret(CANARY)))
    assert (again(credential).kind, again(credential).key_fingerprint) == ("password", None)


# Who may know


@pytest.mark.parametrize("role", ["viewer", "operator", "approver", "admin"])
def test_members_of_a_role_see_credentials(credential: Credential, role: str) -> None:
    user = User.objects.create_user("ann")
    user.groups.add(Group.objects.get_or_create(name=role)[0])
    assert list(Credential.objects.visible_to(user)) == [credential]


def test_superusers_see_credentials(credential: Credential) -> None:
    assert Credential.objects.visible_to(User.objects.create_superuser("root")).exists()


def test_nobody_else_sees_any(credential: Credential) -> None:
    mallory = User.objects.create_user("mallory", is_staff=True)
    mallory.groups.add(Group.objects.create(name="accountants"))
    retired = User.objects.create_superuser("retired", is_active=False)
    for stranger in (mallory, retired, AnonymousUser()):
        assert not Credential.objects.visible_to(stranger).exists()


def test_a_list_takes_the_queries_of_one_page(
    credential: Credential, django_assert_num_queries: object
) -> None:
    user = User.objects.create_superuser("root")
    with django_assert_num_queries(1):  # type: ignore[operator]
        assert [str(row) for row in Credential.objects.visible_to(user)] == ["web login"]


def test_disabled_credentials_are_not_usable(credential: Credential) -> None:
    Credential.objects.update(enabled=False)
    assert not Credential.objects.usable().exists()


# What it never tells


def test_the_secrets_are_listed_for_masking(credential: Credential) -> None:
    credential.set_secrets(become_password=Secret("for sudo"))
    assert credential.secrets().present() == (Secret(CANARY), Secret("for sudo"))
    assert dict(credential.secrets().items()) == {
        "password": Secret(CANARY),
        "become_password": Secret("for sudo"),
    }


def test_secrets_of_a_credential_are_shown_by_nothing(credential: Credential) -> None:
    stream = io.StringIO()
    logger = logging.Logger("canary", logging.DEBUG)
    logger.addHandler(logging.StreamHandler(stream))
    secrets = credential.secrets()
    logger.debug("%s %r %s", credential, secrets, dataclasses.asdict(secrets))
    assert CANARY not in stream.getvalue()
    with pytest.raises(TypeError):
        json.dumps(dataclasses.asdict(secrets))


def test_a_failing_save_shows_no_secret_in_its_traceback(credential: Credential) -> None:
    twin = Credential(name=credential.name, kind="password", username="ann")
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        twin.set_secrets(password=Secret("another-" + CANARY))
    first = caught.value.__traceback__
    assert first is not None
    lines = traceback.StackSummary.extract(traceback.walk_tb(first.tb_next), capture_locals=True).format()
    assert CANARY not in "".join(lines)


def test_a_damaged_column_is_told_by_name_alone(credential: Credential) -> None:
    write_column(credential.pk, CANARY)
    with pytest.raises(DecryptionError, match=r"credentials\.Credential\.sealed") as caught:
        again(credential).secrets()
    assert CANARY not in str(caught.value)
