"""The objects that emulated cmdlets hand on, and how they look when they are printed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any


@dataclass(frozen=True)
class Thing:
    """An object with named fields. `columns` are those that a table of it shows."""

    kind: str
    fields: dict[str, Any]
    columns: tuple[str, ...] = ()


def text_of(value: Any) -> str:
    """As inside of a string."""
    match value:
        case None:
            return ""
        case bool():
            return str(value)
        case datetime():
            return value.strftime("%m/%d/%Y %H:%M:%S")
        case list():
            return " ".join(text_of(item) for item in value)
        case Thing():
            return value.kind
    return str(value)


def lines_of(values: Sequence[Any]) -> Iterator[str]:
    """The lines that PowerShell prints for the values at the end of a pipeline."""
    for kind, group in groupby(values, lambda value: value.kind if isinstance(value, Thing) else ""):
        found = list(group)
        if kind:
            yield from _table(found)
            continue
        for value in found:
            yield value.strftime("%A, %B %d, %Y %H:%M:%S") if isinstance(value, datetime) else text_of(value)


def _table(things: Sequence[Thing]) -> Iterator[str]:
    columns = things[0].columns or tuple(things[0].fields)
    rows = [[text_of(thing.fields.get(column)) for column in columns] for thing in things]
    widths = [max(len(row[at]) for row in [list(columns), *rows]) for at in range(len(columns))]
    yield ""
    for row in [list(columns), ["-" * len(column) for column in columns], *rows]:
        yield " ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield ""


def as_json(values: Sequence[Any], *, compress: bool) -> str:
    plain = [_plain(value) for value in values]
    return json.dumps(
        plain[0] if len(plain) == 1 else plain,
        ensure_ascii=False,
        indent=None if compress else 4,
        separators=(",", ":") if compress else (",", ":  "),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Thing):
        return {name: _plain(field) for name, field in value.fields.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime) else value
