"""One's own tokens: shown without their text, made with it once, revoked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from automation.api.authentication import principal, token_of
from automation.api.permissions import has
from automation.api.problems import Problem
from automation.api.strict import Choice, Strict, Text, Whole
from automation.api.views import ApiViewSet
from automation.models import ApiToken
from automation.models.access import TOKEN_DAYS
from automation.roles import SCOPES as KNOWN

# Whoever may do anything may make a token for it; every role can read.
SCOPES = {"GET": "runs:read", "POST": "runs:read", "DELETE": "runs:read"}


class NewToken(Strict):
    """What the token is for, and what it may do."""

    name = Text(max_length=100)
    kind = Choice(choices=ApiToken.Kind.choices)
    scopes = serializers.ListField(child=Text(max_length=50), allow_empty=False, max_length=20)
    days = Whole(default=TOKEN_DAYS, min_value=1, max_value=TOKEN_DAYS)


class TokenViews(ApiViewSet):
    """The tokens of whoever asks, and of nobody else."""

    http_method_names = ["get", "head", "post", "delete"]  # noqa: RUF012  (DRF declares it so)
    scopes = SCOPES
    list_keys = ("search",)
    page_order = ("name", "pk")

    def get_queryset(self) -> Any:
        rows = ApiToken.objects.filter(user=principal(self.request), revoked_at=None)
        text = self.request.query_params.get("search")
        return rows.filter(name__icontains=text) if text else rows

    def list(self, request: Request) -> Response:
        return self.paged(self.get_queryset(), token_answer)

    def create(self, request: Request) -> Response:
        # A token that could make tokens would outlive its own end and revocation.
        if token_of(request) is not None:
            raise Problem(
                "Log in to make a token: a token makes no other.", code="session.required", status=403
            )
        body = NewToken(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        self._may_have(given["scopes"])
        try:
            token, text = ApiToken.objects.issue(
                name=given["name"],
                user=principal(request),
                kind=given["kind"],
                scopes=given["scopes"],
                expires_at=timezone.now() + timedelta(days=given["days"]),
            )
        except ValueError as error:
            raise _refused(str(error)) from None
        return Response(
            token_answer(token) | {"token": text}, status=201, headers={"Cache-Control": "no-store"}
        )

    def destroy(self, request: Request, pk: str) -> Response:
        self.get_object().revoke()
        return Response(status=204)

    def _may_have(self, scopes: Iterable[str]) -> None:
        for scope in scopes:
            if scope in KNOWN and not has(self.request, scope):
                raise _refused(f"None of your roles gives {scope}.")


def token_answer(token: ApiToken) -> dict[str, Any]:
    return {
        "id": token.pk,
        "name": token.name,
        "kind": token.kind,
        "scopes": token.scopes,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
    }


def _refused(message: str) -> Problem:
    return Problem(message, code="invalid", errors=[{"field": "scopes", "message": message}])
