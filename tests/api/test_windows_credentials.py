"""Keytabs and client certificates by API: they go in, are checked, and never come out."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from credentials.models import Credential
from tests.credentials.kerberos import keytab
from tests.libraries.windows.certificates import Authority

URL = "/api/v1/credentials/"
OPS = "ops@EXAMPLE.COM"


@pytest.fixture
def admin(clients: dict[str, APIClient]) -> APIClient:
    return clients["admin"]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("logins")


def test_a_keytab_goes_in_and_never_comes_out(admin: APIClient) -> None:
    text = keytab(OPS)
    answer = admin.post(URL, {"name": "k", "kind": "keytab", "username": OPS, "keytab": text})
    assert answer.status_code == 201, answer.content
    here = f"{URL}{answer.json()['id']}/"
    assert answer.json()["has_keytab"] is True
    assert not any(text in got.content.decode() for got in (answer, admin.get(here), admin.get(URL)))
    assert admin.post(f"{here}test/").json()["gives"] == ["keytab"]
    refused = admin.patch(here, {"username": "other@EXAMPLE.COM"})
    assert (refused.status_code, refused.json()["code"]) == (400, "credential.keytab_other_principal")
    assert Credential.objects.get().username == OPS


def test_a_client_certificate_tells_what_it_says_and_its_end(admin: APIClient, authority: Authority) -> None:
    certificate, key = authority.issue("ops", client=True)
    body = {"name": "c", "kind": "client_certificate", "username": "ops", "private_key": key}
    missing = admin.post(URL, body)
    assert missing.json()["code"] == "credential.certificate_missing"
    made = admin.post(URL, body | {"certificate": certificate}).json()
    facts = made["client_certificate_facts"]
    assert (facts["subject"], facts["issuer"], facts["expired"]) == ("CN=ops", "CN=logins", False)
    assert (made["expires_at"], made["expiry"]) == (facts["ends_at"], "soon")
    assert made["has_private_key"] is True and key.splitlines()[1] not in str(made)


def test_a_renewed_certificate_comes_with_its_key_and_its_own_end(
    admin: APIClient, authority: Authority
) -> None:
    certificate, key = authority.issue("ops", client=True)
    body = {"name": "c", "kind": "client_certificate", "username": "ops"}
    made = admin.post(URL, body | {"certificate": certificate, "private_key": key}).json()
    here = f"{URL}{made['id']}/"
    newer, its_key = authority.issue("ops", client=True)
    assert admin.patch(here, {"certificate": newer}).json()["code"] == "credential.certificate_other_key"
    renewed = admin.patch(here, {"certificate": newer, "private_key": its_key}).json()
    assert renewed["expires_at"] == renewed["client_certificate_facts"]["ends_at"]
    expired, old_key = authority.issue("ops", client=True, expired=True)
    refused = admin.patch(here, {"certificate": expired, "private_key": old_key}).json()
    assert refused["code"] == "credential.certificate_expired"
    assert refused["errors"][0]["field"] == "certificate"
