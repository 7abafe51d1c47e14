"""The demo's people and tokens. Their passwords are made at each start and shown once."""

from __future__ import annotations

import secrets

from django.contrib.auth.models import Group, User

from automation.models import ApiToken

OPERATOR, APPROVER, VIEWER, ADMIN = "demo-operator", "demo-approver", "demo-viewer", "admin"
ROLES = {OPERATOR: "operator", APPROVER: "approver", VIEWER: "viewer"}
AI_SCOPES = ("inventory:read", "runs:read", "runs:submit", "proposals:write")
APPROVER_SCOPES = ("runs:read", "runs:approve")
OPERATOR_SCOPES = ("runs:read", "runs:submit")


def make_people() -> dict[str, str]:
    """The demo's users; their passwords by name."""
    passwords = {name: secrets.token_urlsafe(12) for name in (*ROLES, ADMIN)}
    for name, role in ROLES.items():
        user = User.objects.create_user(name, password=passwords[name])
        user.groups.add(Group.objects.get(name=role))
    User.objects.create_superuser(ADMIN, password=passwords[ADMIN])
    return passwords


def admin() -> User:
    """The demo's administrator."""
    return User.objects.get(username=ADMIN)


def ai_token() -> str:
    """A token of kind `ai`: it may ask and submit, and can never approve."""
    return _issue("demo AI", OPERATOR, ApiToken.Kind.AI, AI_SCOPES)


def approver_token() -> str:
    """The approver's own, for the answer that is given in the terminal."""
    return _issue("demo terminal", APPROVER, ApiToken.Kind.PERSON, APPROVER_SCOPES)


def operator_token() -> str:
    """The operator's own, for the run that the demo starts in his name."""
    return _issue("demo run", OPERATOR, ApiToken.Kind.PERSON, OPERATOR_SCOPES)


def _issue(name: str, user: str, kind: str, scopes: tuple[str, ...]) -> str:
    owner = User.objects.get(username=user)
    _, text = ApiToken.objects.issue(name=name, user=owner, kind=kind, scopes=list(scopes))
    return text
