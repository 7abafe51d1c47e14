"""Tokens at an AI service of its own: the automation service made them, so it is asked whose they are."""

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_errors import AutomationError, NotAuthenticatedError, NotPermittedError
from aiworkflows.passed_on import PassedOnToken

REFUSED = "The automation service refuses this token: it is unknown, expired, revoked or may not read runs."


class NotReachable(exceptions.APIException):
    """Nobody can say whose token it is."""

    status_code = 503
    default_code = "automation.unreachable"
    default_detail = "The automation service does not say whose token this is. Try again later."


class PassedOnAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer ops_…`: its owner, by name, as long as that user exists and is active here too.

    Whatever the request then does at the automation service is done with this very token.
    """

    def authenticate(self, request: Request) -> tuple[Any, PassedOnToken] | None:
        scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        text = text.strip()
        if not text.isascii() or not text.isprintable():
            raise exceptions.AuthenticationFailed(REFUSED, "token.invalid")
        timeout = getattr(settings, "AUTOMATION_TIMEOUT", 10.0)
        try:
            with AutomationClient(settings.AUTOMATION_URL, text, timeout=timeout) as client:
                me = client.me()
        except (NotAuthenticatedError, NotPermittedError):
            raise exceptions.AuthenticationFailed(REFUSED, "token.invalid") from None
        except AutomationError as error:
            raise NotReachable from error
        user = get_user_model().objects.filter(username=me.name, is_active=True).first()
        if user is None:
            raise exceptions.AuthenticationFailed(
                f"The token's owner {me.name} is no active user of this service. An administrator makes one: "
                "`./ops manage create_user`.",
                "token.owner",
            )
        return user, PassedOnToken(text=text, kind=me.kind, scopes=frozenset(me.scopes))

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
