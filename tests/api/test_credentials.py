"""Credentials by API: secrets go in and never come out."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from rest_framework.test import APIClient

from automation.models import Target
from credentials.models import Credential

URL = "/api/v1/credentials/"
CANARY = "canary-7hG2kQ9vXw4LpZt1Rb6Y"


@pytest.fixture
def admin(clients: dict[str, APIClient]) -> APIClient:
    return clients["admin"]


def private_key() -> str:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def make(admin: APIClient, **fields: Any) -> dict[str, Any]:
    answer = admin.post(
        URL, {"name": "ops", "kind": "password", "username": "ops", "password": CANARY} | fields
    )
    assert answer.status_code == 201, answer.content
    return dict(answer.json())


def test_an_answer_says_which_secrets_there_are(admin: APIClient) -> None:
    made = make(admin, become_password=CANARY + "2")
    assert (made["has_password"], made["has_become_password"], made["has_private_key"]) == (True, True, False)
    stored = Credential.objects.get().secrets()
    assert stored.password is not None
    assert stored.password.reveal() == CANARY


def test_a_private_key_is_known_by_its_fingerprint(admin: APIClient) -> None:
    key = private_key()
    answer = admin.post(URL, {"name": "k", "kind": "private_key", "username": "ops", "private_key": key})
    assert answer.json()["key_type"] == "ssh-ed25519"
    assert answer.json()["key_fingerprint"].startswith("SHA256:")
    assert key.splitlines()[1] not in answer.content.decode()


def test_a_secret_that_is_left_out_stays(admin: APIClient) -> None:
    made = make(admin, become_password=CANARY + "2")
    changed = admin.patch(
        f"{URL}{made['id']}/", {"username": "deploy", "password": "another-password"}
    ).json()
    assert (changed["username"], changed["has_become_password"], changed["version"]) == ("deploy", True, 2)


def test_another_kind_brings_its_own_secrets(admin: APIClient) -> None:
    made = make(admin)
    here = f"{URL}{made['id']}/"
    assert admin.patch(here, {"kind": "private_key"}).json()["code"] == "credential.key_missing"
    changed = admin.patch(here, {"kind": "private_key", "private_key": private_key()}).json()
    assert (changed["kind"], changed["has_password"], changed["has_private_key"]) == (
        "private_key",
        False,
        True,
    )


def test_a_key_can_be_replaced_by_a_password(admin: APIClient) -> None:
    body = {"name": "ops", "kind": "private_key", "username": "ops", "private_key": private_key()}
    here = f"{URL}{admin.post(URL, body).json()['id']}/"
    assert admin.patch(here, {"kind": "password"}).json()["code"] == "credential.password_missing"
    assert admin.get(here).json()["has_private_key"]
    changed = admin.patch(here, {"kind": "password", "password": CANARY}).json()
    assert (changed["kind"], changed["has_password"], changed["has_private_key"]) == ("password", True, False)
    assert changed["key_fingerprint"] is None


def test_no_answer_ever_holds_a_secret(admin: APIClient) -> None:
    made = make(admin)
    Target.objects.create(name="web1", address="10.0.0.1", credential_id=made["id"])
    answers = [
        admin.get(URL),
        admin.get(f"{URL}{made['id']}/"),
        admin.patch(f"{URL}{made['id']}/", {"password": CANARY + "new"}),
        admin.patch(f"{URL}{made['id']}/", {"password": CANARY + "\n"}),
        admin.post(URL, {"name": "x", "kind": "private_key", "username": "x", "private_key": CANARY}),
        admin.post(URL, {"name": CANARY[:3], "kind": "x", "username": "x", "password": [CANARY]}),
        admin.post(URL, {"name": "y", "kind": "password", "username": "y", "pasword": CANARY}),
        admin.get("/api/v1/targets/"),
        admin.options(URL),
        *(
            admin.get(URL, {key: "1"})
            for key in ("fields", "depth", "expand", "sealed__startswith", "ordering")
        ),
    ]
    assert not [answer for answer in answers if CANARY in answer.content.decode()]
    assert not [answer for answer in answers if b'sealed"' in answer.content]


@pytest.mark.parametrize("username", ["-l", "a b", "a;b", "$(x)", "a\nb", "%u"])
def test_a_user_name_is_nothing_a_shell_could_take_for_more(admin: APIClient, username: str) -> None:
    body = {"name": "x", "kind": "password", "username": username, "password": CANARY}
    answer = admin.post(URL, body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "username"


def test_a_credential_in_use_stays(admin: APIClient) -> None:
    made = make(admin)
    Target.objects.create(name="web1", address="10.0.0.1", credential_id=made["id"])
    answer = admin.delete(f"{URL}{made['id']}/")
    assert (answer.status_code, answer.json()["code"]) == (409, "credential.in_use")
    Target.objects.all().delete()
    assert admin.delete(f"{URL}{made['id']}/").status_code == 204


def test_two_credentials_of_one_name_are_refused(admin: APIClient) -> None:
    make(admin)
    again = admin.post(URL, {"name": "ops", "kind": "password", "username": "x", "password": CANARY})
    assert again.status_code == 400
