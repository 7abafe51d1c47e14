"""What somebody may do. Knows people and their roles, but no table of ours, so that any service may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.models import PermissionsMixin

from automation.roles import ROLES, SCOPES

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


def scopes_of(user: AbstractBaseUser | AnonymousUser) -> frozenset[str]:
    """What the user's roles allow; nothing for a stranger or somebody deactivated."""
    if not user.is_active or user.is_anonymous:
        return frozenset()
    if not isinstance(user, PermissionsMixin) or user.is_superuser:
        return SCOPES if getattr(user, "is_superuser", False) else frozenset()
    # One query a user object: every check of a request asks again.
    cached: frozenset[str] | None = user.__dict__.get("_opsportal_scopes")
    if cached is None:
        names = user.groups.values_list("name", flat=True)
        cached = frozenset().union(*(ROLES.get(name, frozenset()) for name in names))
        user.__dict__["_opsportal_scopes"] = cached
    return cached


def may(user: AbstractBaseUser | AnonymousUser, scope: str) -> bool:
    return scope in scopes_of(user)
