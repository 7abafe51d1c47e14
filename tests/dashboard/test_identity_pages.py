"""Pages of host keys in bulk, facts, bastions and looks at many targets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from automation.models import HostCertificateAuthority, HostKey, Target, TargetTest
from tests.api.conftest import HOST_KEY, OTHER_HOST_KEY, TOUCH, session

HOSTILE = "<img/src=x\\onerror=alert(1)>"


@pytest.fixture
def enter(people: dict[str, User]) -> Callable[[str], Client]:
    def entered(role: str) -> Client:
        client = Client()
        client.force_login(people[role])
        return client

    return entered


@pytest.fixture
def waiting(web: list[Target]) -> list[HostKey]:
    return [HostKey.objects.saw(target, "ssh-ed25519", HOST_KEY, HostKey.State.PENDING) for target in web]


def decide(client: Client, keys: list[HostKey], **fields: str) -> str:
    sent = {"key": [key.pk for key in keys], "verb": "trust", "next": reverse("host-keys")} | fields
    answer = client.post(reverse("host-keys-decide"), sent, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def states() -> set[str]:
    return set(HostKey.objects.values_list("state", flat=True))


def test_keys_to_look_at_stand_beside_each_other_with_a_box_each(
    enter: Callable[[str], Client], waiting: list[HostKey]
) -> None:
    body = enter("admin").get(reverse("host-keys")).content.decode()
    assert body.count('name="key"') == len(waiting)
    assert body.count(waiting[0].fingerprint) >= len(waiting)


def test_ticked_keys_are_trusted_together(enter: Callable[[str], Client], waiting: list[HostKey]) -> None:
    assert "Trusted: 2 host keys." in decide(enter("admin"), waiting[:2], compared="yes")
    assert list(HostKey.objects.order_by("pk").values_list("state", flat=True)) == [
        "trusted",
        "trusted",
        "pending",
    ]


def test_nothing_is_trusted_without_having_compared(
    enter: Callable[[str], Client], waiting: list[HostKey]
) -> None:
    assert "Compare each fingerprint" in decide(enter("admin"), waiting)
    assert states() == {"pending"}


def test_two_keys_of_one_kind_and_target_are_not_trusted(
    enter: Callable[[str], Client], waiting: list[HostKey]
) -> None:
    other = HostKey.objects.saw(waiting[0].target, "ssh-ed25519", OTHER_HOST_KEY, HostKey.State.PENDING)
    assert "only one can be the right one" in decide(enter("admin"), [*waiting, other], compared="yes")
    assert states() == {"pending"}


def test_ticked_keys_are_revoked_together(enter: Callable[[str], Client], waiting: list[HostKey]) -> None:
    decide(enter("admin"), waiting, verb="revoke")
    assert states() == {"revoked"}


def test_only_who_may_write_the_inventory_decides(
    enter: Callable[[str], Client], waiting: list[HostKey]
) -> None:
    operator = enter("operator")
    assert 'name="key"' not in operator.get(reverse("host-keys")).content.decode()
    sent = {"key": [waiting[0].pk], "verb": "trust", "compared": "yes"}
    assert operator.post(reverse("host-keys-decide"), sent).status_code == 403
    assert enter("mallory").get(reverse("host-keys")).status_code == 403


def test_the_way_back_stays_on_this_portal(enter: Callable[[str], Client], waiting: list[HostKey]) -> None:
    sent = {"key": [waiting[0].pk], "verb": "revoke", "next": "https://evil.example/"}
    answer = enter("admin").post(reverse("host-keys-decide"), sent)
    assert answer.headers["Location"] == reverse("host-keys")


def test_a_changed_key_stands_beside_the_one_it_replaces(
    enter: Callable[[str], Client], waiting: list[HostKey], people: dict[str, User]
) -> None:
    waiting[0].trust(by=people["admin"])
    HostKey.objects.saw(waiting[0].target, "ssh-ed25519", OTHER_HOST_KEY, HostKey.State.CHANGED)
    body = enter("admin").get(reverse("host-keys"), {"state": "changed"}).content.decode()
    assert "in the place of" in body
    assert waiting[0].fingerprint in body


def test_the_targets_of_a_query_are_asked_for_their_keys(
    enter: Callable[[str], Client], web: list[Target]
) -> None:
    sent = {"q": "name:web*", "kind": "scan", "next": reverse("host-keys")}
    body = enter("operator").post(reverse("targets-look"), sent, follow=True).content.decode()
    assert f"a few at a time: {len(web)} targets." in body
    assert TargetTest.objects.of_kind("scan").count() == len(web)
    wrong = enter("operator").post(reverse("targets-look"), sent | {"q": "groop:x"}, follow=True)
    assert "Column 1" in wrong.content.decode()
    assert enter("viewer").post(reverse("targets-look"), sent).status_code == 403


def test_facts_are_shown_as_text(enter: Callable[[str], Client], web: list[Target]) -> None:
    web[0].learn({"os.name": HOSTILE, "reboot_needed": True, "memory.mb": 512})
    body = enter("viewer").get(reverse("target", args=[web[0].pk])).content.decode()
    assert "<img" not in body
    assert "Restart needed" in body
    assert "512" in body


def test_facts_and_scans_are_asked_for_and_followed(
    enter: Callable[[str], Client], web: list[Target]
) -> None:
    operator = enter("operator")
    for kind, place in (("facts", "machine"), ("scan", "host-keys")):
        answer = operator.post(reverse("target-look", args=[web[0].pk, kind]))
        assert answer.headers["Location"].endswith(f"#{place}")
        fragment = operator.get(reverse("target-tested", args=[web[0].pk])).content.decode()
        assert "data-refresh" in fragment
        web[0].tests.of_kind(kind).get().refuse("connect.refused", "Nothing listens.", "Check.")
    body = operator.get(reverse("target-tested", args=[web[0].pk])).content.decode()
    assert "data-refresh" not in body
    assert body.count("Nothing listens.") == 2
    assert operator.post(reverse("target-look", args=[web[0].pk, "nonsense"])).status_code == 404


def test_the_way_to_a_target_is_shown_from_both_ends(
    enter: Callable[[str], Client], web: list[Target]
) -> None:
    Target.objects.filter(pk=web[1].pk).update(bastion=web[0])
    Target.objects.filter(pk=web[2].pk).update(bastion=web[1])
    viewer = enter("viewer")
    body = viewer.get(reverse("target", args=[web[2].pk])).content.decode()
    assert body.index(">web1</a>") < body.index(">web2</a>")
    assert "Bastion of" in viewer.get(reverse("target", args=[web[0].pk])).content.decode()


def test_an_authority_is_shown_where_its_word_counts(
    enter: Callable[[str], Client], web: list[Target]
) -> None:
    HostCertificateAuthority.objects.create(
        name="site-ca", key_type="ssh-ed25519", key=HOST_KEY, patterns=["web1"]
    )
    viewer = enter("viewer")
    assert "site-ca" in viewer.get(reverse("target", args=[web[0].pk])).content.decode()
    assert "site-ca" not in viewer.get(reverse("target", args=[web[1].pk])).content.decode()
    assert "site-ca" in viewer.get(reverse("host-keys")).content.decode()


def test_a_target_that_was_not_tested_for_long_is_overdue(
    enter: Callable[[str], Client], web: list[Target]
) -> None:
    long_ago = timezone.now() - timedelta(days=30)
    web[0].tests.create(state="done", success=True, code="ok", created_at=long_ago, finished_at=long_ago)
    web[1].tests.create(state="done", success=False, code="auth.failed", finished_at=timezone.now())
    rows = {row.target.name: row for row in enter("viewer").get(reverse("targets")).context["rows"]}
    assert [rows[name].overdue for name in ("web1", "web2", "web3")] == [True, False, False]
    assert rows["web2"].health == "unhealthy"


def test_the_plan_shows_the_way_and_what_proves_it(
    enter: Callable[[str], Client], web: list[Target], people: dict[str, User]
) -> None:
    HostKey.objects.saw(web[0], "ssh-ed25519", HOST_KEY, HostKey.State.PENDING).trust(by=people["admin"])
    HostCertificateAuthority.objects.create(
        name="ca", key_type="ssh-ed25519", key=OTHER_HOST_KEY, patterns=["web2"]
    )
    Target.objects.filter(pk=web[1].pk).update(bastion=web[0])
    asked = {"definition": TOUCH, "targets": "web2", "parameters": {"file": "/tmp/x"}}
    run = session(people["operator"]).post("/api/v1/runs/", asked).json()
    body = enter("viewer").get(reverse("run", args=[run["id"]])).content.decode()
    assert "Reached through" in body
    assert "Host certificates signed by" in body
    assert body.count("no trusted host key") == 0
    assert "no credential: will be blocked" in body
