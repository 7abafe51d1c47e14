"""Errors of the API as problem details (RFC 9457, `application/problem+json`)."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, JsonResponse
from rest_framework import exceptions, status
from rest_framework.views import set_rollback

from automation.api.database_away import why_away

MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "The request is not valid",
    401: "Who are you?",
    403: "Not allowed",
    404: "Not found",
    405: "This address does not do that",
    406: "Not available in this form",
    409: "In conflict with the present state",
    412: "Changed meanwhile",
    413: "Too large",
    415: "Not a form we read",
    422: "Cannot be done",
    429: "Too many requests",
    500: "We broke",
    503: "Not ready",
}
AWAY_SECONDS = 5
"""After which it makes sense to ask again."""
logger = logging.getLogger(__name__)


class Problem(exceptions.APIException):
    """Raise it in a view: `Problem("The run is finished.", code="run.finished", status=409)`.

    `errors` name what they are about: `{"field": "targets", "message": "…", "code": "…"}`; further keys
    (line, column, choices) are passed on as they are. An app that may not import this module raises an
    `APIException` of its own with an attribute `errors`.
    """

    def __init__(
        self,
        detail: str,
        *,
        code: str,
        status: int = status.HTTP_400_BAD_REQUEST,
        errors: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(detail, code)
        self.status_code = status
        self.errors = [dict(error) for error in errors]


def problem_response(
    detail: str, *, status: int, code: str, errors: Sequence[Mapping[str, Any]] = ()
) -> HttpResponse:
    """The answer for one problem; `code` is stable, for programs; `detail` is for people."""
    body = {
        "type": f"urn:opsportal:problem:{code}",
        "title": TITLES.get(status, "The request failed"),
        "status": status,
        "detail": detail,
        "code": code,
        "errors": list(errors),
    }
    return JsonResponse(body, status=status, content_type=MEDIA_TYPE)


def exception_handler(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """DRF's hook: every exception of a view becomes a problem; an unforeseen one tells nothing internal."""
    set_rollback()
    if isinstance(error, Http404):
        error = exceptions.NotFound("There is no such thing here, or none that you may see.")
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, exceptions.APIException):
        return unforeseen(error)
    response = _from_api_exception(error)
    if challenge := getattr(error, "auth_header", None):
        response.headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        response.headers["Retry-After"] = str(int(wait))
    return response


def unforeseen(error: BaseException | None) -> HttpResponse:
    """A 500 whose reference is also in the log, beside the traceback; a 503 while the database is away."""
    if why := why_away(error):
        logger.error("a request found no database: %s", error)
        return _database_away(why)
    reference = uuid4().hex[:12]
    logger.error("unforeseen error", exc_info=error, extra={"reference": reference})
    return problem_response(
        f"Something unforeseen happened. An administrator finds it in the log as reference={reference}.",
        status=500,
        code="internal",
        errors=[{"reference": reference}],
    )


def _database_away(why: str) -> HttpResponse:
    response = problem_response(
        f"The portal cannot work at the moment: {why}. Runs wait and lose nothing. Ask again later; what is "
        "sent again with the same Idempotency-Key is done once. /readyz tells when all is well.",
        status=503,
        code="database.away",
    )
    response.headers["Retry-After"] = str(AWAY_SECONDS)
    return response


def _from_api_exception(error: exceptions.APIException) -> HttpResponse:
    if isinstance(error, exceptions.ValidationError):
        errors = list(_flattened(error.get_full_details()))
        detail = "; ".join(
            f"{part['field']}: {part['message']}" if part["field"] else part["message"] for part in errors
        )
        return problem_response(detail, status=error.status_code, code="invalid", errors=errors)
    codes = error.get_codes()
    return problem_response(
        f"{error.detail}{_next_step(error)}",
        status=error.status_code,
        code=codes if isinstance(codes, str) else error.default_code,
        errors=getattr(error, "errors", ()),
    )


def _next_step(error: exceptions.APIException) -> str:
    """What to do about what Django REST framework finds by itself; it names only the cause."""
    match error:
        case exceptions.NotAuthenticated():
            return " Send `Authorization: Bearer ops_…` with a token of yours, or sign in."
        case exceptions.MethodNotAllowed():
            return " The header Allow names what is."
        case exceptions.UnsupportedMediaType():
            return " Send JSON, with `Content-Type: application/json`."
        case exceptions.NotAcceptable():
            return " Leave out `Accept`, or send `Accept: application/json`."
    return ""


def _flattened(details: Any, path: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested details as a flat list; `path` is like `steps.0.name`."""
    if isinstance(details, Mapping):
        if details.keys() == {"message", "code"} and isinstance(details["message"], str):
            yield {"field": path, "message": str(details["message"]), "code": str(details["code"])}
            return
        for key, value in details.items():
            step = "" if key == "non_field_errors" else str(key)
            yield from _flattened(value, ".".join(filter(None, [path, step])))
    else:
        for index, value in enumerate(details):
            # Plain messages belong to the field itself; mappings are the items of a list field.
            plain = isinstance(value, Mapping) and value.keys() == {"message", "code"}
            yield from _flattened(value, path if plain else ".".join(filter(None, [path, str(index)])))
