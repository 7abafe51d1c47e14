"""How often one may ask."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from automation.api.authentication import InProcessAuthentication, token_of
from automation.api.counting import TooManyRequests, wait_after


class RequestsPerMinute(BaseThrottle):
    """At most OPSPORTAL_REQUESTS_PER_MINUTE for each token, or for each person without one; 0 is no limit."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """True. Raises TooManyRequests."""
        most = settings.OPSPORTAL_REQUESTS_PER_MINUTE
        # What code of ours asks in a person's name was counted when that person asked.
        if not most or isinstance(request.successful_authenticator, InProcessAuthentication):
            return True
        token = token_of(request)
        who = f"token-{token.pk}" if token is not None else f"user-{request.user.pk}"
        if (wait := wait_after(f"requests-{who}", most)) is not None:
            raise TooManyRequests(
                f"This is more than {most} requests a minute.", code="limit.requests", wait=wait
            )
        return True
