"""Short words for JSON Schema (draft 2020-12, which OpenAPI 3.1 uses)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Shape = dict[str, Any]

TEXT: Shape = {"type": "string"}
WHOLE: Shape = {"type": "integer"}
NUMBER: Shape = {"type": "number"}
FLAG: Shape = {"type": "boolean"}
MOMENT: Shape = {"type": "string", "format": "date-time"}
ANYTHING: Shape = {}
MAPPING: Shape = {"type": "object", "additionalProperties": True}
COUNTS: Shape = {"type": "object", "additionalProperties": {"type": "integer"}}


def one_of(values: Iterable[str]) -> Shape:
    return {"type": "string", "enum": list(values)}


def or_null(shape: Shape) -> Shape:
    return (
        {"oneOf": [shape, {"type": "null"}]}
        if "$ref" in shape
        else {**shape, "type": [shape["type"], "null"]}
    )


def listed(shape: Shape) -> Shape:
    return {"type": "array", "items": shape}


def record(description: str = "", /, **fields: Shape) -> Shape:
    """An object that has all of `fields`."""
    described = {"description": description} if description else {}
    return {"type": "object", **described, "properties": fields, "required": list(fields)}


def lacking(shape: Shape, *names: str) -> Shape:
    """The same object, which may be without these fields."""
    return {**shape, "required": [name for name in shape["required"] if name not in names]}


def reference(name: str) -> Shape:
    return {"$ref": f"#/components/schemas/{name}"}


def page_of(shape: Shape) -> Shape:
    link = {"type": ["string", "null"], "format": "uri-reference"}
    return record(next=link, previous=link, results=listed(shape))
