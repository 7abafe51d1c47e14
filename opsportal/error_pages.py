"""What Django answers outside of API views: problem details under /api/, pages elsewhere."""

import sys

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views import defaults

from automation.api.database_away import why_away
from automation.api.problems import problem_response, unforeseen

API = "/api/"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(API):
        return problem_response("The request cannot be read.", status=400, code="bad_request")
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(API):
        return problem_response("You may not do that.", status=403, code="permission_denied")
    return defaults.permission_denied(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(API):
        return problem_response("Nothing is at this address.", status=404, code="not_found")
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    error = sys.exc_info()[1]
    if request.path.startswith(API):
        return unforeseen(error)
    if why := why_away(error):
        return HttpResponse(render_to_string("503.html", {"why": why}), status=503)
    return defaults.server_error(request)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Named by CSRF_FAILURE_VIEW; DRF's own check does not come by here."""
    if request.path.startswith(API):
        return permission_denied(request, PermissionError(reason))
    why = "This form was too old, or cookies are switched off. Load the page again and try once more."
    return render(request, "403.html", {"why": why}, status=403)
