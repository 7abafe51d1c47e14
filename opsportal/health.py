"""/healthz: this process answers. /readyz: the installation can do its work. Both without login."""

import logging
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from opsportal.database_trouble import in_words, trouble, waiting_migrations

logger = logging.getLogger(__name__)


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Alive, whatever the database does."""
    return JsonResponse({"status": "alive"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when every check is ok, else 503; each check with its reason."""
    checks = {name: _outcome(name, check) for name, check in CHECKS.items()}
    ready = all(check["ok"] for check in checks.values())
    response = JsonResponse({"ready": ready, "checks": checks}, status=200 if ready else 503)
    # Asked every few seconds: Django would log each 503 as an error of ours.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _outcome(name: str, check: Callable[[], str]) -> dict[str, object]:
    try:
        problem = check()
    except DatabaseError as error:
        # The driver's message may name users and servers; who may see it reads the log.
        away = isinstance(error, OperationalError | InterfaceError)
        logger.warning("readiness check failed: %s", error, exc_info=not away, extra={"check": name})
        problem = in_words(error)
    return {"ok": not problem, "reason": problem or "ok"}


def _migrations() -> str:
    waiting = waiting_migrations()
    return f"{waiting} migrations are not applied: run `./ops manage migrate`" if waiting else ""


CHECKS: dict[str, Callable[[], str]] = {
    "database": trouble,
    "migrations": _migrations,
    **import_string(settings.PARTS.readiness),
}
