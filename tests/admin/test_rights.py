"""What the administration pages must not become: a way round an approval, or into somebody's name."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from automation.models import ApiToken, Event, HostKey, JobRun, Participant, StepResult, Target
from tests.api.conftest import OTHER_HOST_KEY


def everything_of(run: JobRun) -> list[Any]:
    models = (
        JobRun.objects.filter(pk=run.pk),
        *(m.objects.filter(run=run) for m in (Participant, StepResult, Event)),
    )
    return list(itertools.chain.from_iterable(rows.order_by("pk").values() for rows in models))


@pytest.mark.parametrize("page", ["change", "delete", "add", "list"])
def test_a_run_cannot_be_made_changed_or_deleted(admin: Client, run: JobRun, page: str) -> None:
    before = everything_of(run)
    form = {
        "status": "queued",
        "approvals_required": "0",
        "post": "yes",
        "participants-TOTAL_FORMS": "1",
        "participants-INITIAL_FORMS": "0",
        "participants-0-user": str(run.submitted_by_id),
        "participants-0-part": "approver",
        "participants-0-decision": "approved",
    }
    if page == "list":
        form |= {"action": "delete_selected", "_selected_action": str(run.pk)}
        admin.post(reverse("admin:automation_jobrun_changelist"), form)
    else:
        args = [] if page == "add" else [run.pk]
        assert admin.post(reverse(f"admin:automation_jobrun_{page}", args=args), form).status_code == 403
    assert everything_of(run) == before
    assert JobRun.objects.count() == 1


def test_a_superuser_cannot_change_a_run_either(client: Client, run: JobRun) -> None:
    client.force_login(User.objects.create_superuser("root"))
    address = reverse("admin:automation_jobrun_change", args=[run.pk])
    assert client.post(address, {"status": "queued"}).status_code == 403


def decide(admin: Client, key: HostKey, action: str) -> None:
    form = {"action": action, "_selected_action": [key.pk]}
    assert admin.post(reverse("admin:automation_hostkey_changelist"), form).status_code == 302


def test_trust_is_recorded_and_revokes_the_older_key(
    admin: Client, host_key: HostKey, people: dict[str, User]
) -> None:
    decide(admin, host_key, "trust")
    newer = HostKey.objects.saw(host_key.target, "ssh-ed25519", OTHER_HOST_KEY, HostKey.State.CHANGED)
    decide(admin, newer, "trust")
    host_key.refresh_from_db()
    newer.refresh_from_db()
    assert (host_key.state, newer.state) == ("revoked", "trusted")
    assert newer.decided_by == people["admin"]
    assert newer.decided_at is not None


def test_a_key_can_be_revoked(admin: Client, host_key: HostKey) -> None:
    decide(admin, host_key, "revoke")
    host_key.refresh_from_db()
    assert host_key.state == "revoked"


def test_looking_at_a_key_does_not_trust_it(admin: Client, host_key: HostKey) -> None:
    admin.get(
        reverse("admin:automation_hostkey_changelist"),
        {"action": "trust", "_selected_action": str(host_key.pk)},
    )
    admin.get(reverse("admin:automation_hostkey_change", args=[host_key.pk]))
    host_key.refresh_from_db()
    assert host_key.state == "pending"


def test_a_target_of_an_open_run_cannot_be_deleted(admin: Client, run: JobRun, target: Target) -> None:
    JobRun.objects.filter(pk=run.pk).update(status="running")
    admin.post(reverse("admin:automation_target_delete", args=[target.pk]), {"post": "yes"})
    assert Target.objects.filter(pk=target.pk).exists()


def test_a_target_nobody_works_on_can_be_deleted_with_its_keys(admin: Client, host_key: HostKey) -> None:
    admin.post(reverse("admin:automation_target_delete", args=[host_key.target_id]), {"post": "yes"})
    assert not Target.objects.exists()


def test_variables_are_checked_like_everywhere(admin: Client, target: Target) -> None:
    form = {
        "name": "web1",
        "address": "web1.example.org",
        "platform": "linux",
        "transport": "ssh",
        "port": "22",
        "tags": "web, eu",
        "variables": '{"PATH": "x"}',
    }
    address = reverse("admin:automation_target_change", args=[target.pk])
    assert admin.post(address, form).status_code == 200
    assert admin.post(address, form | {"variables": '{"site": "eu"}'}).status_code == 302
    target.refresh_from_db()
    assert (target.tags, target.variables) == (["eu", "web"], {"site": "eu"})


def new_token(admin: Client, user: User, kind: str, *scopes: str) -> Any:
    form = {"name": "made", "user": user.pk, "kind": kind, "scopes": scopes, "days": "30"}
    return admin.post(reverse("admin:automation_apitoken_add"), form)


def test_a_new_token_is_shown_once_and_works(admin: Client, people: dict[str, User]) -> None:
    answer = new_token(admin, people["operator"], "service", "runs:read")
    text = answer.context["text"]
    assert text in answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]
    token = ApiToken.objects.valid(text)
    assert token is not None
    again = admin.get(reverse("admin:automation_apitoken_change", args=[token.pk])).content.decode()
    assert text not in again
    assert token.digest not in again


@pytest.mark.parametrize(
    ("owner", "kind", "scope"),
    [
        ("approver", "person", "runs:approve"),
        ("admin", "service", "runs:approve"),
        ("admin", "ai", "admin"),
        ("viewer", "service", "runs:submit"),
    ],
)
def test_no_token_is_made_that_could_decide_for_somebody_or_do_too_much(
    admin: Client, people: dict[str, User], owner: str, kind: str, scope: str
) -> None:
    assert new_token(admin, people[owner], kind, scope).status_code == 200
    assert not ApiToken.objects.exists()


def test_a_token_is_revoked(admin: Client, token: tuple[ApiToken, str]) -> None:
    form = {"action": "revoke", "_selected_action": [token[0].pk]}
    admin.post(reverse("admin:automation_apitoken_changelist"), form)
    assert ApiToken.objects.valid(token[1]) is None


def person_form(user: User, *roles: str) -> dict[str, Any]:
    return {
        "username": user.username,
        "is_active": "on",
        "groups": [Role.objects.get(name=role).pk for role in roles],
    }


def test_roles_are_given(admin: Client, people: dict[str, User]) -> None:
    viewer = people["viewer"]
    address = reverse("admin:auth_user_change", args=[viewer.pk])
    assert admin.post(address, person_form(viewer, "operator")).status_code == 302
    assert [role.name for role in viewer.groups.all()] == ["operator"]


def test_nobody_becomes_a_superuser_by_a_form(admin: Client, people: dict[str, User]) -> None:
    address = reverse("admin:auth_user_change", args=[people["viewer"].pk])
    admin.post(address, person_form(people["viewer"], "viewer") | {"is_superuser": "on", "is_staff": "on"})
    people["viewer"].refresh_from_db()
    assert not people["viewer"].is_superuser


def test_nobody_takes_the_role_admin_from_oneself(admin: Client, people: dict[str, User]) -> None:
    address = reverse("admin:auth_user_change", args=[people["admin"].pk])
    assert admin.post(address, person_form(people["admin"], "viewer")).status_code == 200
    assert [role.name for role in people["admin"].groups.all()] == ["admin"]


def test_a_person_is_made_with_a_role(admin: Client) -> None:
    form = {
        "username": "ben",
        "usable_password": "true",
        "password1": "correct horse battery",
        "password2": "correct horse battery",
        "groups": [Role.objects.get(name="approver").pk],
    }
    assert admin.post(reverse("admin:auth_user_add"), form).status_code == 302
    assert [role.name for role in User.objects.get(username="ben").groups.all()] == ["approver"]


def test_who_has_tokens_can_be_deleted_and_their_door_closes(
    admin: Client, people: dict[str, User], token: tuple[ApiToken, str]
) -> None:
    admin.post(reverse("admin:auth_user_delete", args=[people["operator"].pk]), {"post": "yes"})
    assert not User.objects.filter(username="operator-person").exists()
    assert ApiToken.objects.valid(token[1]) is None


def test_nobody_deletes_oneself(admin: Client, people: dict[str, User]) -> None:
    address = reverse("admin:auth_user_delete", args=[people["admin"].pk])
    assert admin.post(address, {"post": "yes"}).status_code == 403
    form = {"action": "delete_selected", "_selected_action": [people["admin"].pk], "post": "yes"}
    admin.post(reverse("admin:auth_user_changelist"), form)
    assert User.objects.filter(pk=people["admin"].pk).exists()


def test_who_has_a_part_in_a_run_stays(admin: Client, run: JobRun, people: dict[str, User]) -> None:
    JobRun.objects.filter(pk=run.pk).update(submitted_by=people["operator"])
    admin.post(reverse("admin:auth_user_delete", args=[people["operator"].pk]), {"post": "yes"})
    assert User.objects.filter(username="operator-person").exists()
