"""Entity tags of workflows: `"3"` is version 3 (RFC 9110, section 8.8.3)."""

from __future__ import annotations

import re
from collections.abc import Container

from rest_framework.request import Request

from automation.api.problems import Problem

TAGS = re.compile(r'\s*(?:W/)?"[!#-~]*"\s*(?:,\s*(?:W/)?"[!#-~]*"\s*)*')
ANY = range(1, 2**31)


def tag_of(number: int) -> str:
    return f'"{number}"'


def meant_versions(request: Request) -> Container[int] | None:
    """The versions that `If-Match` names: any for `*`, None without the header. Raises Problem 400.

    A weak tag never matches, as RFC 9110 wants it for this header.
    """
    given = request.headers.get("If-Match")
    if given is None:
        return None
    if given.strip() == "*":
        return ANY
    if not TAGS.fullmatch(given):
        raise Problem(
            'If-Match is the ETag of the workflow as it was read, in its quotes, like "3".',
            code="header.invalid",
        )
    return frozenset(int(tag) for tag in re.findall(r'(?<!W/)"([0-9]{1,9})"', given))


def unchanged_for(request: Request, tag: str) -> bool:
    """Whether `If-None-Match` names `tag`, so that the asker has this very answer already."""
    given = request.headers.get("If-None-Match", "")
    return given.strip() == "*" or tag in re.findall(r'"[!#-~]*"', given)
