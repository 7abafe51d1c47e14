"""What the principal may do. Nothing is allowed that a view does not declare."""

from __future__ import annotations

from typing import Any

from rest_framework import permissions
from rest_framework.request import Request

from automation.api.authentication import token_of
from automation.api.problems import Problem
from automation.models import ApiToken
from automation.models.access import may


class HasScope(permissions.BasePermission):
    """Requires the scope that the view's `scopes` names for the method; a method without one is refused.

    Raises Problem 403 with code `scope.role` (the person's roles) or `scope.token` (the token), or
    `approval.role` and `approval.token` where deciding on runs is meant.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user.is_authenticated:
            return False
        method = str(request.method)
        if method.lower() not in view.http_method_names or not hasattr(view, method.lower()):
            return True  # to the answer that the view does not do this at all
        scope = view.scopes.get("GET" if method == "HEAD" else method)
        if scope is None:
            return False
        require(request, scope)
        return True


def has(request: Request, scope: str) -> bool:
    """Whether the principal, with the token in use, has this scope."""
    token = token_of(request)
    return may(request.user, scope) and (token is None or token.has_scope(scope))


def require(request: Request, scope: str) -> None:
    """Raises Problem 403 unless the principal, with the token in use, has this scope."""
    if has(request, scope):
        return
    family = "approval" if scope == "runs:approve" else "scope"
    if not may(request.user, scope):
        raise Problem(
            f"This needs the permission {scope}, which none of your roles gives; an administrator can.",
            code=f"{family}.role",
            status=403,
        )
    raise Problem(
        f"This needs the scope {scope}, which this token ({token_of(request)}) does not have.",
        code=f"{family}.token",
        status=403,
    )


def require_person(request: Request, what: str) -> None:
    """Raises Problem 403 unless a person is asking, with a token of kind person or without one."""
    token = token_of(request)
    if token is not None and token.kind != ApiToken.Kind.PERSON:
        raise Problem(
            f"Only a person may {what}; this token is of kind {token.kind}.",
            code="person.required",
            status=403,
        )
