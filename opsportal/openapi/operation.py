"""What is told of one operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opsportal.openapi.shapes import Shape, reference

Form = type[Any]
"""A serializer."""
BYTES: dict[str, Shape] = {"application/octet-stream": {}}
IDEMPOTENT = ("Idempotency-Key",)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one route.

    `answer` is a shape, a serializer, or None for an answer that is not JSON; `paged` says that it comes in
    pages. `statuses` are those of success, `problems` those of refusal beside the usual ones. `media` are
    forms of the answer beside JSON. `scopes` are named where the view does not.
    """

    says: str
    answer: Shape | Form | None = None
    paged: bool = False
    body: Form | None = None
    body_media: str = "application/json"
    statuses: tuple[int, ...] = (200,)
    problems: tuple[int, ...] = ()
    media: Mapping[str, Shape] = field(default_factory=dict)
    request_headers: tuple[str, ...] = ()
    answer_headers: tuple[str, ...] = ()
    query: Mapping[str, Shape] = field(default_factory=dict)
    scopes: tuple[str, ...] = ()


def rows(what: str, form: Form, answer: Shape | Form) -> dict[str, Operation]:
    """The operations on rows that are listed, read, made, changed in part and deleted."""
    return {
        "list": Operation(says=f"List {what}s", answer=answer, paged=True),
        "retrieve": Operation(says=f"Read a {what}", answer=answer),
        "create": Operation(
            says=f"Make a {what}", body=form, answer=answer, statuses=(201,), problems=(409,)
        ),
        "partial_update": Operation(
            says=f"Change a {what} in part", body=form, answer=answer, problems=(409,)
        ),
        "destroy": Operation(says=f"Delete a {what}", statuses=(204,), problems=(409,)),
    }


def named(route: str, operations: Mapping[str, Operation]) -> dict[str, Operation]:
    return {f"{route}.{action}": operation for action, operation in operations.items()}


def decision(says: str, form: Form) -> Operation:
    return Operation(says=says, body=form, answer=reference("Run"), problems=(409,))


def look(says: str) -> Operation:
    return Operation(says=says, answer=reference("TargetTest"), statuses=(202,), problems=(409,))
