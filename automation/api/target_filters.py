"""Which targets a request means."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request

from automation.api.errors import query_problem
from automation.choose import FILTERS as FILTERS
from automation.choose import filtered, matching
from automation.definitions.errors import QueryError
from automation.definitions.query import Query, parse


def query_of(request: Request) -> Query | None:
    """The query in `q` with the filters; None without any. Raises Problem 400."""
    given = request.query_params
    filters = {key: given[key] for key in FILTERS if key in given}
    try:
        written = parse(given["q"]) if "q" in given else None
    except QueryError as error:
        raise query_problem(error, "q") from None
    return filtered(written, filters)


def chosen_by(request: Request, targets: Any) -> Any:
    """Those of `targets` that the query in `q` and the filters name; all without any. Raises Problem 400."""
    query = query_of(request)
    if query is None:
        return targets
    return targets.filter(pk__in=[target.pk for target in matching(query, targets)])
