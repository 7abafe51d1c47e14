"""Scans, facts and rounds of looks at targets, against real SSH servers."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from automation.ask_test import ROUND, TooMany, ask_test, ask_tests
from automation.models import Group, HostCertificateAuthority, HostKey, Round, Target, TargetTest
from automation.models.target_tests import KEPT
from automation.ways import Ways
from automation.workers import rounds
from automation.workers.sweeper import Sweeper
from tests.libraries.sshd import Sshd
from tests.workers.spine import Spine


def look_at(spine: Spine, target: Target, kind: str) -> TargetTest:
    found = ask_test(target, by=spine.person, kind=kind)
    spine.drain()
    found.refresh_from_db()
    return found


def aged(target: Target) -> None:
    """As if it had been here for a year."""
    Target.objects.filter(pk=target.pk).update(created_at=timezone.now() - timedelta(days=365))


def sweep(spine: Spine) -> None:
    rounds.wake_rounds()
    spine.drain()


# Scans


def test_a_scan_finds_every_key_and_logs_nobody_in(spine: Spine) -> None:
    [target] = spine.add_targets("web1", trusted=False)
    target.host_keys.all().delete()
    before = spine.servers[0].logins
    scan = look_at(spine, target, "scan")
    assert (scan.success, scan.code) == (True, "ok")
    states = dict(target.host_keys.values_list("key_type", "state"))
    assert states == {"ssh-ed25519": "pending", "ecdsa-sha2-nistp256": "pending", "ssh-rsa": "pending"}
    assert spine.servers[0].logins == before


def test_a_scan_raises_the_alarm_for_a_key_in_the_place_of_a_trusted_one(spine: Spine) -> None:
    first, second = spine.add_targets("web1", "web2")
    Target.objects.filter(pk=first.pk).update(port=second.port)
    look_at(spine, first, "scan")
    changed = first.host_keys.get(state=HostKey.State.CHANGED)
    assert changed.key_type == "ssh-ed25519"


def test_a_scan_of_nothing_is_told_with_its_next_step(spine: Spine) -> None:
    [target] = spine.add_targets("web1")
    Target.objects.filter(pk=target.pk).update(port=1)
    scan = look_at(spine, target, "scan")
    assert (scan.success, scan.code) == (False, "connect.refused")
    assert scan.next_step


# Facts


def test_facts_are_collected_checked_and_stored(spine: Spine) -> None:
    [target] = spine.add_targets("web1")
    assert look_at(spine, target, "facts").success
    target.refresh_from_db()
    assert target.facts["os.distribution"]
    assert isinstance(target.facts["memory.mb"], int)
    assert target.facts["cpus"] >= 1
    assert target.facts_at is not None


def test_facts_that_cannot_be_had_leave_the_old_ones(spine: Spine) -> None:
    [target] = spine.add_targets("web1")
    target.learn({"kernel": "6.1"})
    Target.objects.filter(pk=target.pk).update(port=1)
    found = look_at(spine, target, "facts")
    target.refresh_from_db()
    assert (found.code, target.facts) == ("connect.refused", {"kernel": "6.1"})


# Rounds


def test_many_targets_are_tested_in_one_round(spine: Spine) -> None:
    targets = spine.add_targets("a", "b", "c", "d")
    asked = ask_tests(targets, by=spine.person)
    sweep(spine)
    assert TargetTest.objects.filter(pk__in=[test.pk for test in asked], success=True).count() == 4


def test_asking_again_gives_the_tests_that_wait(spine: Spine) -> None:
    targets = spine.add_targets("a", "b")
    assert ask_tests(targets, by=spine.person) == ask_tests(targets, by=spine.person)


def test_too_many_at_once_are_refused(spine: Spine, monkeypatch: pytest.MonkeyPatch) -> None:
    # A thousand real targets would only make the test slow.
    monkeypatch.setattr("automation.ask_test.MANY", 1)
    with pytest.raises(TooMany):
        ask_tests(spine.add_targets("a", "b"), by=spine.person)


def test_what_is_due_by_the_clock_is_looked_at_once(spine: Spine, settings: Settings) -> None:
    settings.OPSPORTAL_TEST_MINUTES, settings.OPSPORTAL_FACTS_MINUTES = 60, 0
    old, fresh = spine.add_targets("old", "fresh")
    aged(old)
    sweep(spine)
    Round.next_in(ROUND, timedelta(0))
    sweep(spine)
    test = old.tests.get()
    assert (test.success, test.scheduled, test.asked_by, test.kind) == (True, True, None, "test")
    assert not fresh.tests.exists()


def test_a_switched_off_clock_looks_at_nothing(spine: Spine, settings: Settings) -> None:
    settings.OPSPORTAL_TEST_MINUTES, settings.OPSPORTAL_FACTS_MINUTES = 0, 0
    [target] = spine.add_targets("old")
    aged(target)
    sweep(spine)
    assert not target.tests.exists()


def test_a_refused_login_is_not_tried_every_hour(spine: Spine) -> None:
    refused, failed = spine.add_targets("refused", "failed")
    hours_ago = timezone.now() - timedelta(hours=3)
    for target, code in ((refused, "auth.failed"), (failed, "connect.refused")):
        aged(target)
        target.tests.create(state="done", success=False, code=code, created_at=hours_ago)
    sweep(spine)
    assert refused.tests.count() == 1
    assert failed.tests.of_kind("test").count() == 2


@pytest.mark.parametrize("worked", [False, True])
def test_by_the_clock_sudo_is_tried_only_where_it_worked(spine: Spine, worked: bool) -> None:
    [target] = spine.add_targets("web1")
    aged(target)
    if worked:
        target.spools.create(become=True, path="/root/x")
    sweep(spine)
    phases = {phase["name"]: phase["code"] for phase in target.tests.of_kind("test").get().phases}
    assert (phases["sudo"] != "skipped") is worked
    assert phases["spool"] == "ok"


def test_disabled_targets_are_left_alone(spine: Spine) -> None:
    [target] = spine.add_targets("old")
    aged(target)
    Target.objects.update(enabled=False)
    sweep(spine)
    assert not target.tests.exists()


def test_rounds_never_pile_up(spine: Spine) -> None:
    [target] = spine.add_targets("old")
    aged(target)
    rounds.wake_rounds()
    assert not Round.take(ROUND)
    rounds.wake_rounds()
    spine.drain()
    assert target.tests.filter(kind="test").count() == 1


def test_a_lost_round_is_made_up_for(spine: Spine) -> None:
    ask_tests(spine.add_targets("a"), by=spine.person)
    rounds.wake_rounds()
    Round.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    sweep(spine)
    assert TargetTest.objects.get().success


def test_the_sweeper_begins_rounds(spine: Spine) -> None:
    ask_tests(spine.add_targets("a"), by=spine.person)
    Sweeper().sweep()
    spine.drain()
    assert TargetTest.objects.get().success


def test_looking_whether_a_round_is_due_costs_one_query(
    spine: Spine, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    del spine
    rounds.wake_rounds()
    with django_assert_num_queries(1):
        rounds.wake_rounds()


def test_history_is_pruned_by_kind(spine: Spine) -> None:
    [target] = spine.add_targets("web1")
    TargetTest.objects.bulk_create(TargetTest(target=target, kind="facts") for _ in range(KEPT + 5))
    keep = target.tests.create(kind="test")
    TargetTest.objects.forget_old(target, "facts")
    assert target.tests.filter(kind="facts").count() == KEPT
    assert target.tests.filter(pk=keep.pk).exists()


# Authorities


def vouching(target: Target) -> list[HostCertificateAuthority]:
    return Ways.of([target]).authorities_for(target)


def test_an_authority_vouches_by_name_address_or_group(spine: Spine) -> None:
    first, second = spine.add_targets("db1", "web1")
    key_type, key = spine.servers[0].host_key().split()
    authority = HostCertificateAuthority.objects.create(
        name="site", key_type=key_type, key=key, patterns=["DB*"]
    )
    assert vouching(first) == [authority]
    assert vouching(second) == []
    outside = Group.objects.create(name="everything")
    second.groups.get().parents.add(outside)
    authority.groups.add(outside)
    assert vouching(second) == [authority]


def test_an_authority_without_scope_vouches_for_nobody(spine: Spine, servers: list[Sshd]) -> None:
    [target] = spine.add_targets("db1")
    key_type, key = servers[0].host_key().split()
    HostCertificateAuthority.objects.create(name="s", key_type=key_type, key=key)
    assert vouching(target) == []
