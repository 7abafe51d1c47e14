"""What all views of the API have in common: who, what, how strict, and errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from django.db import models
from rest_framework import viewsets
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from automation.api.authentication import AUTHENTICATION
from automation.api.errors import as_problem
from automation.api.pages import PAGE, Pages
from automation.api.parsers import StrictJsonParser
from automation.api.permissions import HasScope
from automation.api.problems import Problem
from automation.api.strict import check_keys

READ_AND_POST = ["get", "head", "post"]


class JsonOnly(BaseContentNegotiation):
    """There is one form of each answer, so what the client would rather have does not matter."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> Any:
        kind = str(request.content_type or "").split(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == kind), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        only = next(iter(renderers))
        return only, str(only.media_type)


class ApiViewSet(viewsets.GenericViewSet[Any]):
    """`scopes` names the scope each method needs.

    `list_keys` are the query parameters a list understands beside its page, `query_keys` those of an action.
    """

    authentication_classes = AUTHENTICATION
    permission_classes = (HasScope,)
    parser_classes: Sequence[type[BaseParser]] = (StrictJsonParser,)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = JsonOnly
    metadata_class = None
    pagination_class = Pages
    filter_backends = ()
    lookup_value_regex = "[0-9]{1,18}"

    scopes: Mapping[str, str] = {}
    list_keys: ClassVar[Sequence[str]] = ()
    query_keys: Sequence[str] = ()
    page_order: Sequence[str] = ("pk",)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        known = (*self.list_keys, *PAGE) if self.action == "list" else self.query_keys
        check_keys(request.query_params, known, code="query.invalid", what="query parameter")

    def handle_exception(self, exc: Exception) -> Response:
        return super().handle_exception(as_problem(exc) or exc)

    def visible(self, rows: models.QuerySet[Any]) -> Any:
        """Those of `rows` that the asking person may know of."""
        return rows.visible_to(self.request.user)  # type: ignore[attr-defined]

    def searched(self, rows: models.QuerySet[Any]) -> Any:
        """Those of `rows` the asking person may know of, with the text of `?search=` in their name."""
        text = self.request.query_params.get("search")
        visible = self.visible(rows)
        return visible.filter(name__icontains=text) if text else visible

    def paged(self, rows: models.QuerySet[Any], answer: Any) -> Response:
        """One page of `rows`, each as `answer` shows it."""
        page = self.paginate_queryset(rows)
        assert page is not None  # noqa: S101  (Pages always pages)
        return self.get_paginated_response([answer(row) for row in page])

    def chosen(self, name: str, choices: Sequence[str]) -> str | None:
        """The query parameter, if given and one of `choices`; Problem 400 for another value."""
        value = self.request.query_params.get(name)
        if value is None or value in choices:
            return value
        message = f"must be one of {', '.join(choices)}"
        raise Problem(
            f"{name} {message}.", code="query.invalid", errors=[{"field": name, "message": message}]
        )
