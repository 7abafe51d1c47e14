"""Bastions, looks at targets, keys in bulk, authorities and user certificates by API."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from rest_framework.test import APIClient

from automation.models import HostCertificateAuthority, HostKey, Target, TargetTest
from tests.api.conftest import HOST_KEY, OTHER_HOST_KEY
from tests.libraries.sshd import make_key, sign

V1 = "/api/v1"


@pytest.fixture
def admin(clients: dict[str, APIClient]) -> APIClient:
    return clients["admin"]


def saw(target: Target, key: str = HOST_KEY, state: str = HostKey.State.PENDING) -> HostKey:
    return HostKey.objects.saw(target, "ssh-ed25519", key, state)


def test_a_target_is_put_behind_another(admin: APIClient, web: list[Target]) -> None:
    first, second = web[:2]
    changed = admin.patch(f"{V1}/targets/{second.pk}/", {"bastion": first.pk})
    assert (changed.status_code, changed.json()["bastion"]) == (200, first.pk)
    circle = admin.patch(f"{V1}/targets/{first.pk}/", {"bastion": second.pk})
    assert (circle.status_code, "circle" in circle.content.decode()) == (400, True)
    gone = admin.delete(f"{V1}/targets/{first.pk}/")
    assert (gone.status_code, gone.json()["code"]) == (409, "target.is_bastion")


def test_facts_are_read_only_and_asked_for(admin: APIClient, web: list[Target]) -> None:
    web[0].learn({"kernel": "6.1", "cpus": 2})
    shown = admin.get(f"{V1}/targets/{web[0].pk}/").json()
    assert shown["facts"] == {"kernel": "6.1", "cpus": 2}
    assert shown["facts_at"]
    assert admin.patch(f"{V1}/targets/{web[0].pk}/", {"facts": {}}).status_code == 400
    asked = admin.post(f"{V1}/targets/{web[0].pk}/facts/")
    assert (asked.status_code, asked.json()["kind"]) == (202, "facts")


@pytest.mark.parametrize("verb", ["test", "scan", "facts"])
def test_each_kind_of_look_has_its_own_history(admin: APIClient, web: list[Target], verb: str) -> None:
    admin.post(f"{V1}/targets/{web[0].pk}/{verb}/")
    listed = admin.get(f"{V1}/targets/{web[0].pk}/tests/?kind={verb}").json()["results"]
    assert [each["kind"] for each in listed] == [verb]
    assert admin.get(f"{V1}/targets/{web[0].pk}/tests/?kind=nonsense").status_code == 400


def test_many_are_looked_at_by_a_query(admin: APIClient, web: list[Target]) -> None:
    asked = admin.post(f"{V1}/targets/looks/", {"targets": "name:web*", "kind": "scan"})
    assert (asked.status_code, asked.json()["asked"]) == (202, len(web))
    assert TargetTest.objects.of_kind("scan").count() == len(web)
    nobody = admin.post(f"{V1}/targets/looks/", {"targets": "name:nobody"})
    assert (nobody.status_code, nobody.json()["code"]) == (400, "targets.none")


def test_keys_are_trusted_together_or_not_at_all(admin: APIClient, web: list[Target]) -> None:
    keys = [saw(target).pk for target in web]
    missing = admin.post(f"{V1}/host-keys/trust/", {"keys": [*keys, 999]})
    assert missing.status_code == 404
    assert not HostKey.objects.filter(state="trusted").exists()
    assert admin.post(f"{V1}/host-keys/trust/", {"keys": keys}).status_code == 200
    assert HostKey.objects.filter(state="trusted").count() == len(web)
    admin.post(f"{V1}/host-keys/revoke/", {"keys": keys})
    assert HostKey.objects.filter(state="revoked").count() == len(web)


def test_two_keys_of_one_type_for_one_target_are_ambiguous(admin: APIClient, web: list[Target]) -> None:
    keys = [saw(web[0]).pk, saw(web[0], OTHER_HOST_KEY).pk]
    answer = admin.post(f"{V1}/host-keys/trust/", {"keys": keys})
    assert (answer.status_code, answer.json()["code"]) == (409, "hostkey.ambiguous")


def test_fingerprints_from_elsewhere_choose_the_keys(admin: APIClient, web: list[Target]) -> None:
    key = saw(web[0])
    saw(web[1], OTHER_HOST_KEY)
    admin.post(f"{V1}/host-keys/trust/", {"fingerprints": [key.fingerprint]})
    assert [each.pk for each in HostKey.objects.filter(state="trusted")] == [key.pk]
    unknown = admin.post(f"{V1}/host-keys/trust/", {"fingerprints": ["SHA256:no"]})
    assert unknown.status_code == 404


@pytest.mark.parametrize("body", [{}, {"keys": []}, {"keys": [1], "fingerprints": ["x"]}, {"keys": ["1"]}])
def test_a_request_that_does_not_say_which_keys_is_refused(admin: APIClient, web: Any, body: Any) -> None:
    assert admin.post(f"{V1}/host-keys/trust/", body).status_code == 400


def test_an_authority_is_made_and_changed(admin: APIClient, web: list[Target]) -> None:
    body = {"name": "site", "key_type": "ssh-ed25519", "key": HOST_KEY, "patterns": ["web*"]}
    made = admin.post(f"{V1}/host-certificate-authorities/", body)
    assert made.status_code == 201
    assert made.json()["fingerprint"].startswith("SHA256:")
    assert HostCertificateAuthority.objects.get().vouches_for(web[0], ())
    address = f"{V1}/host-certificate-authorities/{made.json()['id']}/"
    assert admin.patch(address, {"enabled": False}).json()["enabled"] is False
    assert (
        admin.post(f"{V1}/host-certificate-authorities/", body | {"name": "b", "key": "x"}).status_code == 400
    )


def test_a_user_certificate_is_stored_and_described(admin: APIClient, db: None, tmp_path: Path) -> None:
    key = make_key(tmp_path / "user")
    line = sign(make_key(tmp_path / "ca"), tmp_path / "user.pub", "deploy").read_text()
    body = {"name": "c", "kind": "private_key", "username": "deploy", "private_key": key.read_text()}
    made = admin.post(f"{V1}/credentials/", body | {"certificate": line})
    assert made.status_code == 201
    facts = made.json()["certificate_facts"]
    assert (facts["principals"], facts["expired"]) == (["deploy"], False)
    assert (made.json()["expires_at"], made.json()["expiry"]) == (facts["ends_at"], "soon")
    wrong = admin.patch(f"{V1}/credentials/{made.json()['id']}/", {"certificate": "nonsense"})
    assert wrong.status_code == 400
    refused = admin.post(f"{V1}/credentials/", body | {"name": "d", "certificate": "nonsense"})
    assert refused.status_code == 400
    bare = admin.patch(f"{V1}/credentials/{made.json()['id']}/", {"certificate": ""}).json()
    assert (bare["certificate_facts"], bare["expires_at"]) == (None, None)


def test_an_end_that_a_person_set_outlives_a_user_certificate_that_ends_later(
    admin: APIClient, db: None, tmp_path: Path
) -> None:
    key = make_key(tmp_path / "user")
    line = sign(make_key(tmp_path / "ca"), tmp_path / "user.pub", "deploy").read_text()
    body = {"name": "c", "kind": "private_key", "username": "deploy", "private_key": key.read_text()}
    sooner = (timezone.now() + timedelta(minutes=9)).replace(microsecond=0)
    made = admin.post(f"{V1}/credentials/", body | {"certificate": line, "expires_at": sooner}).json()
    assert parse_datetime(made["expires_at"]) == sooner
    bare = admin.patch(f"{V1}/credentials/{made['id']}/", {"certificate": ""}).json()
    assert parse_datetime(bare["expires_at"]) == sooner
