"""The document in the order and words of a page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from opsportal.openapi.shapes import Shape

REFERENCE = "#/components/schemas/"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value is: `words`, and the name of the shape it refers to, if any."""

    words: str
    shape: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """A named value; `where` says where it stands."""

    name: str
    kind: Kind
    says: str
    needed: bool
    where: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One status that may come back."""

    status: str
    says: str
    kinds: list[Kind]


@dataclass(frozen=True, slots=True)
class Method:
    """One operation."""

    id: str
    verb: str
    path: str
    summary: str
    says: str
    scopes: list[str]
    places: list[Field]
    body: list[Kind]
    answers: list[Answer] = field(default_factory=list)


def methods_by_tag(document: Shape) -> dict[str, list[Method]]:
    """The operations, in the order of their routes."""
    found: dict[str, list[Method]] = {}
    for path, entry in document["paths"].items():
        for verb, operation in entry.items():
            found.setdefault(operation["tags"][0], []).append(_method(path, verb, operation, document))
    return found


def shapes(document: Shape) -> Iterator[tuple[str, str, list[Field]]]:
    """Name, description and fields of every shape."""
    for name, shape in document["components"]["schemas"].items():
        needed = shape.get("required", ())
        fields = [
            Field(key, kind_of(each), each.get("description", ""), key in needed)
            for key, each in shape.get("properties", {}).items()
        ]
        yield name, shape.get("description", ""), fields


def kind_of(shape: Shape) -> Kind:
    """The shape in a few words."""
    if "$ref" in shape:
        name = shape["$ref"].removeprefix(REFERENCE)
        return Kind(name, name)
    for word in ("allOf", "oneOf", "anyOf"):
        if word in shape:
            parts = [kind_of(each) for each in shape[word]]
            return Kind(
                " or ".join(each.words for each in parts), next((p.shape for p in parts if p.shape), "")
            )
    if "enum" in shape:
        return Kind("one of " + ", ".join("null" if each is None else str(each) for each in shape["enum"]))
    if shape.get("type") == "array":
        inner = kind_of(shape.get("items", {}))
        return Kind(f"list of {inner.words}", inner.shape)
    if "results" in shape.get("properties", {}):
        inner = kind_of(shape["properties"]["results"])
        return Kind(f"page: {inner.words}", inner.shape)
    kinds = shape.get("type", "anything")
    words = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    return Kind(f"{words} ({shape['format']})" if "format" in shape else words)


def _method(path: str, verb: str, operation: Shape, document: Shape) -> Method:
    places = [
        Field(
            each["name"],
            kind_of(each["schema"]),
            each.get("description", ""),
            each.get("required", False),
            each["in"],
        )
        for each in operation["parameters"]
    ]
    return Method(
        id=operation["operationId"],
        verb=verb.upper(),
        path=path,
        summary=operation["summary"],
        says=operation.get("description", ""),
        scopes=next(iter(operation["security"][0].values())),
        places=places,
        body=_kinds(operation.get("requestBody", {})),
        answers=[_answer(status, each, document) for status, each in operation["responses"].items()],
    )


def _answer(status: str, shown: Shape, document: Shape) -> Answer:
    if "$ref" in shown:
        shown = document["components"]["responses"][shown["$ref"].rsplit("/", 1)[1]]
    return Answer(status, shown["description"], _kinds(shown))


def _kinds(shown: Any) -> list[Kind]:
    return [
        kind_of(form["schema"]) if form.get("schema") else Kind(media)
        for media, form in shown.get("content", {}).items()
    ]
