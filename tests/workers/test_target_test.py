"""The test of a target, against a real SSH server."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from automation.ask_test import ask_test
from automation.models import HostKey, Target, TargetTest
from automation.models.target_tests import KEPT, SILENT_AFTER
from credentials.models import Credential
from tests.workers.spine import Spine


def result_of(spine: Spine, target: Target) -> TargetTest:
    test = ask_test(target, by=spine.person)
    spine.drain()
    test.refresh_from_db()
    return test


def test_a_target_that_works_passes_every_phase(spine: Spine) -> None:
    [target] = spine.add_targets("web1")
    test = result_of(spine, target)
    assert (test.state, test.success, test.code) == ("done", True, "ok")
    assert [phase["name"] for phase in test.phases] == [
        "resolve",
        "tcp",
        "banner",
        "identity",
        "login",
        "shell",
        "sudo",
        "spool",
        "detaching",
    ]
    assert {phase["code"] for phase in test.phases if phase["name"] != "sudo"} == {"ok"}
    assert target.spools.get(become=False).path
    assert Credential.objects.get(name="login").last_used_at is not None


def test_an_unknown_key_is_kept_for_a_person_to_look_at(spine: Spine) -> None:
    [target] = spine.add_targets("web1", trusted=False)
    target.host_keys.all().delete()
    test = result_of(spine, target)
    assert (test.success, test.code) == (False, "hostkey.unknown")
    key = target.host_keys.get()
    assert (key.state, key.fingerprint) == ("pending", test.host_key)
    assert test.next_step


def test_another_key_than_the_trusted_one_raises_the_alarm(spine: Spine) -> None:
    first, second = spine.add_targets("web1", "web2")
    Target.objects.filter(pk=first.pk).update(port=second.port)
    test = result_of(spine, Target.objects.get(pk=first.pk))
    assert test.code == "hostkey.changed"
    assert first.host_keys.get(state=HostKey.State.CHANGED).fingerprint == test.host_key
    assert first.host_keys.filter(state=HostKey.State.TRUSTED).exists()


def test_a_port_where_nothing_listens_is_told_with_cause_and_next_step(spine: Spine) -> None:
    [target] = spine.add_targets("web1")
    Target.objects.filter(pk=target.pk).update(port=1)
    test = result_of(spine, Target.objects.get(pk=target.pk))
    assert test.code == "connect.refused"
    assert test.cause
    assert test.next_step
    assert [phase["code"] for phase in test.phases[1:]] == ["connect.refused", *["skipped"] * 7]


def test_without_a_credential_the_identity_is_learned_all_the_same(spine: Spine) -> None:
    [target] = spine.add_targets("web1", trusted=False)
    target.host_keys.all().delete()
    Target.objects.filter(pk=target.pk).update(credential=None)
    assert result_of(spine, Target.objects.get(pk=target.pk)).code == "hostkey.unknown"
    target.host_keys.get().trust(by=spine.person)
    assert result_of(spine, Target.objects.get(pk=target.pk)).code == "credential.missing"


def test_nothing_is_sent_to_a_windows_target_without_a_credential(spine: Spine) -> None:
    target = Target.objects.create(name="win", address="192.0.2.1", platform="windows", transport="winrm")
    test = result_of(spine, target)
    assert test.code == "credential.missing"
    assert {phase["code"] for phase in test.phases} == {"skipped"}


def test_asking_twice_gives_the_test_under_way(spine: Spine) -> None:
    [target] = spine.add_targets("web1")
    first, second = ask_test(target, by=spine.person), ask_test(target, by=spine.person)
    assert first == second


def test_a_test_is_carried_out_once(spine: Spine) -> None:
    [target] = spine.add_targets("web1")
    test = ask_test(target, by=spine.person)
    assert TargetTest.objects.claim(test.pk) is not None
    assert TargetTest.objects.claim(test.pk) is None


def test_a_test_whose_worker_is_gone_does_not_block_the_next(spine: Spine) -> None:
    [target] = spine.add_targets("web1")
    lost = ask_test(target, by=spine.person)
    TargetTest.objects.filter(pk=lost.pk).update(state="running", started_at=lost.created_at - SILENT_AFTER)
    lost.refresh_from_db()
    assert lost.is_silent
    assert ask_test(target, by=spine.person) != lost


@pytest.mark.django_db
def test_only_the_newest_tests_are_kept() -> None:
    target = Target.objects.create(name="old", address="192.0.2.1")
    for _ in range(KEPT + 5):
        target.tests.create(state="done", success=True)
    ask_test(target, by=User.objects.create_user("ann"))
    assert target.tests.count() == KEPT
