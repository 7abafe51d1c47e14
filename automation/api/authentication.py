"""Who is asking: a bearer token, this very process, or a browser session, in this order."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from automation.api.counting import TooManyRequests, wait_after
from automation.models import ApiToken

# Keys of the WSGI environ without `HTTP_`: no header of an outside request can become one of them.
PRINCIPAL_KEY = "opsportal.principal"
AUTH_KEY = "opsportal.auth"

Who = tuple[User, ApiToken | None]


class BearerAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer ops_…`. Whoever sends one is judged by it alone: cookies do not count."""

    def authenticate(self, request: Request) -> Who | None:
        scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = ApiToken.objects.valid(text.strip())
        if token is None:
            _count_wrong_token(request)
            raise exceptions.AuthenticationFailed(
                "This token is unknown, expired or revoked. Ask an administrator for a new one.",
                "token.invalid",
            )
        token.used()
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _count_wrong_token(request: Request) -> None:
    """Raises TooManyRequests after OPSPORTAL_WRONG_TOKENS_PER_MINUTE from one address; 0 is no limit.

    Who has a valid token gets in all the same: behind a proxy all have one address, and a script with an old
    token must not shut out the others. There is nothing to guess in 256 random bits.
    """
    most = settings.OPSPORTAL_WRONG_TOKENS_PER_MINUTE
    if not most:
        return
    address = request.META.get("REMOTE_ADDR", "")
    if (wait := wait_after(f"wrong-token-{address}", most)) is not None:
        raise TooManyRequests(
            "Too many tokens from this address were unknown, expired or revoked.",
            code="limit.wrong_tokens",
            wait=wait,
        )


class InProcessAuthentication(authentication.BaseAuthentication):
    """The principal that code in this process speaks for, with the token it was given, if any."""

    def authenticate(self, request: Request) -> Who | None:
        meta: dict[str, Any] = request._request.META
        user = meta.get(PRINCIPAL_KEY)
        if not isinstance(user, User):
            return None
        if not user.is_active:
            raise exceptions.AuthenticationFailed("This account is deactivated.", "account.inactive")
        token = meta.get(AUTH_KEY)
        return user, token if isinstance(token, ApiToken) else None


class SessionAuthentication(authentication.SessionAuthentication):
    """A person's browser; every unsafe method needs the CSRF token."""


AUTHENTICATION = (BearerAuthentication, InProcessAuthentication, SessionAuthentication)


def principal(request: Request) -> User:
    """Who is asking; only where permissions have let somebody in."""
    assert isinstance(request.user, User)  # noqa: S101  (tells the type)
    return request.user


def token_of(request: Request) -> ApiToken | None:
    """The token in use; None for a session, or for code that speaks for a person."""
    token: Any = request.auth
    return token if isinstance(token, ApiToken) else None


def still_valid(request: Request) -> bool:
    """Whether the principal let in some seconds ago would be let in now."""
    token = token_of(request)
    if token is not None and not ApiToken.objects.alive().filter(pk=token.pk).exists():
        return False
    return User.objects.filter(pk=principal(request).pk, is_active=True).exists()
