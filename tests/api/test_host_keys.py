"""Host keys by API: shown by anybody, trusted by a person."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from automation.models import HostKey, Target
from tests.api.conftest import HOST_KEY, OTHER_HOST_KEY, bearer, token_text

URL = "/api/v1/host-keys/"


@pytest.fixture
def admin(clients: dict[str, APIClient]) -> APIClient:
    return clients["admin"]


def body(row: Target, **fields: Any) -> dict[str, Any]:
    return {"target": row.pk, "key_type": "ssh-ed25519", "key": HOST_KEY} | fields


def test_a_new_key_is_pending_and_trusted_by_name(admin: APIClient, web: list[Target], people: Any) -> None:
    made = admin.post(URL, body(web[0])).json()
    assert (made["state"], made["target_name"]) == ("pending", "web1")
    assert made["fingerprint"].startswith("SHA256:")
    trusted = admin.post(f"{URL}{made['id']}/trust/").json()
    assert (trusted["state"], trusted["decided_by"]) == ("trusted", people["admin"].username)
    assert admin.post(f"{URL}{made['id']}/revoke/").json()["state"] == "revoked"


def test_trusting_a_key_revokes_the_one_before_of_its_type(admin: APIClient, web: list[Target]) -> None:
    first = admin.post(URL, body(web[0])).json()
    second = admin.post(URL, body(web[0], key=OTHER_HOST_KEY)).json()
    for made in (first, second):
        admin.post(f"{URL}{made['id']}/trust/")
    assert [key.state for key in HostKey.objects.order_by("pk")] == ["revoked", "trusted"]
    assert Target.objects.get(pk=web[0].pk).trusted_keys() == [f"ssh-ed25519 {OTHER_HOST_KEY}"]


@pytest.mark.parametrize("kind", ["ai", "service"])
@pytest.mark.parametrize("verb", ["trust", "revoke"])
def test_no_machine_vouches_for_a_machine(
    people: dict[str, User], web: list[Target], kind: str, verb: str
) -> None:
    key = HostKey.objects.saw(web[0], "ssh-ed25519", HOST_KEY, HostKey.State.PENDING)
    answer = bearer(token_text(people["admin"], kind)).post(f"{URL}{key.pk}/{verb}/")
    assert (answer.status_code, answer.json()["code"]) == (403, "person.required")
    assert HostKey.objects.get().state == "pending"


def test_a_person_may_use_a_token_of_their_own(people: dict[str, User], web: list[Target]) -> None:
    key = HostKey.objects.saw(web[0], "ssh-ed25519", HOST_KEY, HostKey.State.PENDING)
    assert bearer(token_text(people["admin"])).post(f"{URL}{key.pk}/trust/").status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"key": "not base64!"},
        {"key": HOST_KEY[:40]},
        {"key_type": "ssh-rsa"},
        {"key_type": "ssh-dss"},
        {"state": "trusted"},
        {"target": 99},
    ],
)
def test_a_key_that_is_none_is_refused(admin: APIClient, web: list[Target], fields: dict[str, Any]) -> None:
    assert admin.post(URL, body(web[0], **fields)).status_code == 400
    assert not HostKey.objects.exists()


def test_keys_are_chosen_by_target_and_state(admin: APIClient, web: list[Target]) -> None:
    for target in web:
        admin.post(URL, body(target))
    HostKey.objects.filter(target=web[1]).update(state="trusted")
    assert len(admin.get(URL).json()["results"]) == 3
    assert [key["target_name"] for key in admin.get(URL, {"target": web[2].pk}).json()["results"]] == ["web3"]
    assert [key["target_name"] for key in admin.get(URL, {"state": "trusted"}).json()["results"]] == ["web2"]
    assert admin.get(URL, {"state": "maybe"}).status_code == 400


def test_the_list_costs_the_same_however_long_it_is(
    admin: APIClient, web: list[Target], django_assert_max_num_queries: Any
) -> None:
    for target in web:
        admin.post(URL, body(target))
    with django_assert_max_num_queries(5):
        admin.get(URL)
