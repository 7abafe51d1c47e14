"""Targets, groups and credentials that people change or delete while a run works with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from automation.models import Group, HostKey, JobRun, Target
from credentials.models import Credential
from tests.acceptance.envelope.portal import Portal, until
from tests.hosts.client import Hosts
from tests.libraries.sshd import Sshd

TWO_STEPS = """
    name: two
    steps:
      - {name: first, run: {bash: 'echo first >> FOLDER/journal; until test -e FOLDER/go; do sleep .1; done'}}
      - {name: second, run: {bash: 'echo second >> FOLDER/journal'}}
"""


class LoopbackPortal(Portal):
    """The product's workers in this process, and one target: an sshd on loopback, in the group web."""

    def __init__(self, server: Sshd, person: User, folder: Path) -> None:
        super().__init__(cast("Hosts", None), person)  # nothing that asks them is used here
        self.folder = folder
        self.admin = APIClient()
        self.admin.force_login(person)
        login = server.credentials
        assert login.private_key is not None
        self.credential = Credential(name="login", kind="private_key", username=login.username)
        self.credential.set_secrets(private_key=login.private_key)
        self.web = Target.objects.create(
            name="web1", address="127.0.0.1", port=server.port, credential=self.credential
        )
        self.group = Group.objects.create(name="web")
        self.web.groups.add(self.group)
        key_type, key = server.host_key().split()
        self.key = HostKey.objects.saw(self.web, key_type, key, HostKey.State.PENDING)
        self.key.trust(by=person)

    def in_the_first_step(self) -> JobRun:
        run = self.begin(TWO_STEPS.replace("FOLDER", str(self.folder)), targets="group:web")
        until(lambda: self.journal, "the first step begins")
        return run

    def go_on(self, run: JobRun) -> JobRun:
        (self.folder / "go").touch()
        return self.finish(run)

    @property
    def journal(self) -> list[str]:
        file = self.folder / "journal"
        return file.read_text().split() if file.exists() else []


@pytest.fixture
def portal(transactional_db: None, servers: list[Sshd], tmp_path: Path) -> Iterator[LoopbackPortal]:
    del transactional_db
    person = User.objects.create_user("alice")
    person.groups.add(Role.objects.get(name="admin"))
    made = LoopbackPortal(servers[0], person, tmp_path)
    yield made
    made.stop()


def change_target(portal: LoopbackPortal, change: dict[str, Any]) -> None:
    answer = portal.admin.patch(f"/api/v1/targets/{portal.web.pk}/", change, format="json")
    assert answer.status_code == 200, answer.content


def refused(portal: LoopbackPortal, place: str, code: str) -> str:
    """The sentence with which a deletion is refused."""
    answer = portal.admin.delete(f"/api/v1/{place}/")
    assert (answer.status_code, answer["Content-Type"]) == (409, "application/problem+json")
    assert answer.json()["code"] == code
    return str(answer.json()["detail"])


@pytest.mark.parametrize(
    "change",
    [{"name": "renamed"}, {"address": "127.9.9.9"}, {"port": 9}, {"groups": []}, {"variables": {"a": "b"}}],
    ids=lambda change: next(iter(change)),
)
def test_what_was_approved_is_what_runs_to_its_end(portal: LoopbackPortal, change: dict[str, Any]) -> None:
    run = portal.in_the_first_step()
    change_target(portal, change)
    assert portal.go_on(run).status == "succeeded"
    assert portal.journal == ["first", "second"]


def test_a_deleted_group_takes_nothing_from_a_run(portal: LoopbackPortal) -> None:
    run = portal.in_the_first_step()
    assert portal.admin.delete(f"/api/v1/groups/{portal.group.pk}/").status_code == 204
    assert portal.go_on(run).status == "succeeded"
    assert portal.journal == ["first", "second"]
    assert run.targets.get().name == "web1"


def test_neither_target_nor_credential_can_be_deleted_under_a_run(portal: LoopbackPortal) -> None:
    run = portal.in_the_first_step()
    assert "Cancel the run first" in refused(portal, f"targets/{portal.web.pk}", "target.in_use")
    said = refused(portal, f"credentials/{portal.credential.pk}", "credential.in_use")
    assert "web1" in said and "Give them another one first" in said
    assert portal.go_on(run).status == "succeeded"
    assert portal.journal == ["first", "second"]


def disable(portal: LoopbackPortal) -> None:
    change_target(portal, {"enabled": False})


def distrust(portal: LoopbackPortal) -> None:
    portal.key.revoke(by=portal.person)


def take_the_credential_away(portal: LoopbackPortal) -> None:
    change_target(portal, {"credential": None})
    assert portal.admin.delete(f"/api/v1/credentials/{portal.credential.pk}/").status_code == 204


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (disable, "plan.changed"),
        (distrust, "hostkey.changed"),
        (take_the_credential_away, "credential.missing"),
    ],
)
def test_what_a_person_takes_away_stops_the_next_step_and_says_so(
    portal: LoopbackPortal, edit: Callable[[LoopbackPortal], None], code: str
) -> None:
    run = portal.in_the_first_step()
    edit(portal)
    assert portal.go_on(run).status == "failed"
    first, second = run.results.order_by("step_index")
    assert (first.state, second.state, second.code) == ("succeeded", "blocked", code)
    assert second.message
    assert portal.journal == ["first"]
    assert not portal.locked(run)
