"""Lists in pages: `{"next", "previous", "results"}`, by cursor, so that new rows shift nothing."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from automation.api.problems import Problem

MAX_PAGE = 200
PAGE = ("cursor", "limit")


class Pages(CursorPagination):
    """`?limit=` up to 200 rows a page; `?cursor=` as given by `next` and `previous`."""

    page_size = 50
    page_size_query_param = "limit"
    max_page_size = MAX_PAGE
    ordering = "pk"

    def get_page_size(self, request: Request) -> int:
        return whole_number(request, "limit", default=50, at_least=1, at_most=MAX_PAGE)

    def decode_cursor(self, request: Request) -> Any:
        try:
            return super().decode_cursor(request)
        except NotFound:
            message = "is none of ours: take it as `next` or `previous` gave it, or begin without one"
            raise Problem(
                f"cursor {message}.", code="query.invalid", errors=[{"field": "cursor", "message": message}]
            ) from None

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:
        # Declared by the view, never taken from the request.
        return tuple(view.page_order)


def whole_number(request: Request, name: str, *, default: int, at_least: int, at_most: int) -> int:
    """The query parameter as a whole number inside its bounds; Problem 400 otherwise."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= 19 and at_least <= int(text) <= at_most:
        return int(text)
    message = f"must be a whole number from {at_least} to {at_most}"
    raise Problem(f"{name} {message}.", code="query.invalid", errors=[{"field": name, "message": message}])
