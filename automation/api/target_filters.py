"""Which targets a request means."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request

from automation.choose import FILTERS as FILTERS
from automation.choose import filtered, matching
from automation.definitions.query import Query, parse


def query_of(request: Request) -> Query | None:
    """The query in `q` with the filters; None without any. Raises QueryError."""
    given = request.query_params
    filters = {key: given[key] for key in FILTERS if key in given}
    return filtered(parse(given["q"]) if "q" in given else None, filters)


def chosen_by(request: Request, targets: Any) -> Any:
    """Those of `targets` that the query in `q` and the filters name; all without any. Raises QueryError."""
    query = query_of(request)
    if query is None:
        return targets
    return targets.filter(pk__in=[target.pk for target in matching(query, targets)])
