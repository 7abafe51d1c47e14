"""Why somebody may not do something, in words, before they try."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied

from automation.models.access import may
from automation.roles import ROLES

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


def why_not(user: AbstractBaseUser | AnonymousUser, scope: str) -> str:
    """What stands in the way of this person; empty when nothing does."""
    if may(user, scope):
        return ""
    roles = [role for role, scopes in ROLES.items() if scope in scopes]
    needed = roles[0] if len(roles) == 1 else f"{', '.join(roles[:-1])} or {roles[-1]}"
    return f"This needs the role {needed}; an administrator can give it to you."


def require(user: AbstractBaseUser | AnonymousUser, scope: str) -> None:
    """Raises PermissionDenied unless this person may."""
    if reason := why_not(user, scope):
        raise PermissionDenied(reason)
