"""What can go wrong between a caller and the automation service. No message ever holds a token."""

from collections.abc import Mapping, Sequence
from typing import Any


class AutomationError(Exception):
    """The family: a stable `code`, a sentence in `detail`, and the HTTP status where there was an answer."""

    def __init__(  # the fields of application/problem+json, each of its own meaning
        self,
        detail: str,
        *,
        code: str,
        status: int | None = None,
        title: str = "",
        errors: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status
        self.title = title or type(self).__name__
        self.errors = tuple(dict(error) for error in errors)

    def __str__(self) -> str:
        fields = "; ".join(str(error.get("message", error)) for error in self.errors)
        return f"{self.detail} [{self.code}]" + (f": {fields}" if fields else "")


class InvalidRequestError(AutomationError):
    """400 or 422: the request itself is wrong; `errors` names the fields."""


class NotAuthenticatedError(AutomationError):
    """401: no token, or one that is unknown, expired or revoked."""


class NotPermittedError(AutomationError):
    """403: known, but not allowed."""


class NotFoundError(AutomationError):
    """404: there is no such thing, or none that this principal may see."""


class ConflictError(AutomationError):
    """409: another plan hash, a decided run, or a used idempotency key with another body."""


class ThrottledError(AutomationError):
    """429, still after waiting as told."""


class ServiceFailedError(AutomationError):
    """5xx: the service broke."""


class UnexpectedAnswerError(AutomationError):
    """The answer is not what the contract says (no JSON, a redirect, a missing field)."""


class UnreachableError(AutomationError):
    """No connection could be made: nothing was sent."""


class ConnectionCutError(AutomationError):
    """The connection broke after something was sent: the service may have done what it was asked."""


class DeadlineExceededError(AutomationError):
    """The call's time ran out. After a change was asked for it may have been made."""


class EventGapError(AutomationError):
    """Events are missing from a run's story; nothing after the gap is delivered."""


ERROR_OF_STATUS: Mapping[int, type[AutomationError]] = {
    400: InvalidRequestError,
    401: NotAuthenticatedError,
    403: NotPermittedError,
    404: NotFoundError,
    409: ConflictError,
    422: InvalidRequestError,
    429: ThrottledError,
}


def error_of_answer(status: int, problem: Mapping[str, Any]) -> AutomationError:
    """Make the typed error of an `application/problem+json` body (or of whatever came instead)."""
    if status in ERROR_OF_STATUS:
        kind = ERROR_OF_STATUS[status]
    elif status >= 500:
        kind = ServiceFailedError
    elif status >= 400:
        kind = InvalidRequestError
    else:
        kind = UnexpectedAnswerError
    raw = problem.get("errors")
    errors = [item if isinstance(item, Mapping) else {"message": str(item)} for item in raw or ()]
    title = str(problem.get("title") or f"HTTP {status}")
    return kind(
        str(problem.get("detail") or title),
        code=str(problem.get("code") or f"http.{status}"),
        status=status,
        title=title,
        errors=errors,
    )
