"""Which targets a request means."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request

from automation.choose import FILTERS as FILTERS
from automation.choose import filtered, matching
from automation.definitions.query import parse


def chosen_by(request: Request, targets: Any) -> Any:
    """Those of `targets` that the query in `q` and the filters name; all without any. Raises QueryError."""
    given = request.query_params
    query = filtered(
        parse(given["q"]) if "q" in given else None, {key: given[key] for key in FILTERS if key in given}
    )
    if query is None:
        return targets
    return targets.filter(pk__in=[target.pk for target in matching(query, targets)])
