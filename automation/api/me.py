"""Who is asking: for services that pass a token on and must know whose it is."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from automation.api.authentication import principal, token_of
from automation.api.permissions import has
from automation.api.views import ApiViewSet
from automation.models import ApiToken
from automation.roles import SCOPES


class MeViews(ApiViewSet):
    """The name of whoever asks, the kind of the token in use (`person` without one), and what is allowed."""

    http_method_names = ["get", "head"]  # noqa: RUF012  (DRF declares it so)
    scopes = {"GET": "runs:read"}  # noqa: RUF012  every role can read

    def list(self, request: Request) -> Response:
        token = token_of(request)
        answer: dict[str, Any] = {
            "name": principal(request).get_username(),
            "kind": token.kind if token else ApiToken.Kind.PERSON,
            "scopes": sorted(scope for scope in SCOPES if has(request, scope)),
        }
        return Response(answer, headers={"Cache-Control": "no-store"})
