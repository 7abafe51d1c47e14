"""NUL in an address: no text of ours has it, and PostgreSQL takes none that does."""

from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse


class RefuseNul:
    """400 for a path or a query with NUL in it. Bodies are read by parsers and forms, which refuse it too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            raise BadRequest("The address has a NUL in it.")
        return self.get_response(request)
