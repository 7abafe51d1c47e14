"""Who may follow a run: asked when somebody comes, and again for as long as he stays."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest

from automation.models import ApiToken, JobRun
from automation.models.access import may

NOT_SIGNED_IN = 4401
NOT_ALLOWED = 4403
NO_SUCH_RUN = 4404


@dataclass(frozen=True, slots=True)
class Visitor:
    """What somebody showed at the door: a token, or a session. A token alone counts where there is one."""

    token_id: int | None = None
    session_key: str | None = None


def token_bearer(text: str) -> Visitor:
    """The visitor with this token; one without anything when it is not valid."""
    token = ApiToken.objects.valid(text)
    if token is None:
        return Visitor()
    token.used()
    return Visitor(token_id=token.pk)


def refusal(visitor: Visitor, run_id: int) -> int | None:
    """Why the visitor may not follow the run, as a close code; None when he may. Nothing is remembered."""
    alive = ApiToken.objects.alive().select_related("user")
    token = alive.filter(pk=visitor.token_id).first() if visitor.token_id is not None else None
    user = token.user if token else _user_of(visitor)
    if user.is_anonymous:
        return NOT_SIGNED_IN
    if not may(user, "runs:read") or (token is not None and not token.has_scope("runs:read")):
        return NOT_ALLOWED
    return None if JobRun.objects.visible_to(user).filter(pk=run_id).exists() else NO_SUCH_RUN


def _user_of(visitor: Visitor) -> User | AnonymousUser:
    """Whose session it is, if it has not ended, his password is still the same and he is active."""
    if visitor.token_id is not None or not visitor.session_key:
        return AnonymousUser()
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(visitor.session_key)
    user = get_user(request)
    return user if isinstance(user, User) else AnonymousUser()
