"""Who may propose. Tokens are asked for their scopes, whatever class they are of."""

from typing import Any, Final

from rest_framework import permissions
from rest_framework.request import Request
from rest_framework.views import APIView

WRITE: Final = "proposals:write"
READ: Final = ("proposals:write", "runs:read")
WRITERS: Final = ("operator", "admin")


def may_propose(user: Any) -> bool:
    """Whether this person may write proposals at all."""
    return bool(
        user.is_authenticated
        and user.is_active
        and (user.is_superuser or user.groups.filter(name__in=WRITERS).exists())
    )


class MayPropose(permissions.BasePermission):
    """To write: a token with `proposals:write`, or else a user in group operator or admin, or a superuser.

    To read: a token with `proposals:write` or `runs:read`, or any user; the queryset says which rows.
    """

    message = "This needs the permission proposals:write."

    def has_permission(self, request: Request, view: APIView) -> bool:
        user, token = request.user, request.auth
        if not user.is_authenticated:
            return False
        reading = request.method in permissions.SAFE_METHODS
        if token is not None and not _token_allows(token, READ if reading else (WRITE,)):
            return False
        return reading or may_propose(user)


def _token_allows(token: Any, scopes: tuple[str, ...]) -> bool:
    # What cannot be asked for its scopes has none.
    has_scope = getattr(token, "has_scope", None)
    return callable(has_scope) and any(has_scope(scope) for scope in scopes)
