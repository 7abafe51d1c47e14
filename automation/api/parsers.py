"""Bodies: one JSON object, of bounded size, depth and number of values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from automation.api.problems import Problem

MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 32
MAX_VALUES = 20_000


class StrictJsonParser(BaseParser):
    """UTF-8 JSON without duplicate keys, NaN or infinities. Raises Problem 400 or 413."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        raw = stream.read(MAX_BODY_BYTES + 1)
        if len(raw) > MAX_BODY_BYTES:
            raise Problem(f"A body has at most {MAX_BODY_BYTES} bytes.", code="body.too_large", status=413)
        try:
            data = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
        except RecursionError:
            raise _too_much() from None
        except ValueError as error:
            raise Problem(f"The body is not JSON: {_cause(error)}.", code="body.not_json") from None
        if not isinstance(data, dict):
            raise Problem("The body must be a JSON object.", code="body.not_object")
        if not _bounded(data):
            raise _too_much()
        return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number in JSON")


def _cause(error: ValueError) -> str:
    # The text of a decoding error may quote the body, and a body may hold a secret.
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg[:1].lower()}{error.msg[1:]} in line {error.lineno}, column {error.colno}"
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _bounded(data: object) -> bool:
    waiting: list[tuple[object, int]] = [(data, 1)]
    count = 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_VALUES:
            return False
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        waiting.extend((child, depth + 1) for child in children)
    return True


def _too_much() -> Problem:
    return Problem(
        f"A body is at most {MAX_DEPTH} levels deep and holds at most {MAX_VALUES} values.",
        code="body.too_complex",
    )
