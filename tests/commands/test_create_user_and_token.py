"""`create_user` and `create_token`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.core.management.base import CommandError
from django.utils import timezone

from automation.models import ApiToken
from automation.roles import ROLES
from tests.commands.conftest import Run

PASSWORD = "correct horse battery"


def test_a_fresh_database_has_the_roles(db: None) -> None:
    assert set(Group.objects.values_list("name", flat=True)) == set(ROLES)


def test_a_user_has_the_role_and_the_password_from_stdin(run: Run) -> None:
    run("create_user", "alice", "--role", "approver", "--password-stdin", stdin=PASSWORD + "\n")
    alice = User.objects.get(username="alice")
    assert alice.check_password(PASSWORD)
    assert [group.name for group in alice.groups.all()] == ["approver"]
    assert not alice.is_superuser


def test_without_a_password_nobody_logs_in(run: Run) -> None:
    run("create_user", "robot", "--role", "operator")
    assert not User.objects.get().has_usable_password()


@pytest.mark.parametrize(("name", "password"), [("alice", "short"), ("a b", PASSWORD), ("", PASSWORD)])
def test_a_weak_password_or_an_odd_name_makes_nobody(run: Run, name: str, password: str) -> None:
    with pytest.raises(CommandError):
        run("create_user", name, "--role", "viewer", "--password-stdin", stdin=password)
    assert not User.objects.exists()


def test_a_name_is_given_once(run: Run) -> None:
    run("create_user", "alice", "--role", "viewer")
    with pytest.raises(CommandError, match="already exists"):
        run("create_user", "alice", "--role", "admin")


def test_the_token_stands_alone_on_stdout_and_nowhere_in_the_database(run: Run) -> None:
    run("create_user", "alice", "--role", "operator")
    out, _ = run(
        *("create_token", "laptop", "--user", "alice", "--kind", "person"),
        *("--scope", "runs:read", "--scope", "runs:submit", "--expires", "30d"),
    )
    token = ApiToken.objects.valid(out.strip())
    assert token is not None
    assert (token.name, token.scopes) == ("laptop", ["runs:read", "runs:submit"])
    assert timedelta(days=29) < token.expires_at - timezone.now() <= timedelta(days=30)
    assert out.strip() not in str(ApiToken.objects.values().get())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"--user": "nobody"}, "no active user"),
        ({"--scope": "runs:aprove"}, "Unknown scope"),
        ({"--scope": "runs:approve"}, "do not allow"),
        ({"--expires": "91d"}, "at most 90d"),
        ({"--expires": "0s"}, "longer than nothing"),
        ({"--expires": "soon"}, "duration"),
    ],
)
def test_a_token_nobody_may_have_is_refused(run: Run, change: dict[str, str], says: str) -> None:
    run("create_user", "alice", "--role", "operator")
    words = {"--user": "alice", "--kind": "person", "--scope": "runs:read", "--expires": "1d"} | change
    with pytest.raises(CommandError, match=says):
        run("create_token", "t", *(word for pair in words.items() for word in pair))
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("kind", ["ai", "service"])
def test_no_token_of_a_machine_approves(run: Run, kind: str) -> None:
    run("create_user", "ann", "--role", "approver")
    with pytest.raises(CommandError, match="never approve"):
        run("create_token", "t", "--user", "ann", "--kind", kind, "--scope", "runs:approve")
