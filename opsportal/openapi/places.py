"""Where an operation finds what it is asked: in the path, the query and the headers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from automation.api.idempotency import MAX_KEY
from automation.api.pages import MAX_PAGE, PAGE
from opsportal.openapi.shapes import TEXT, WHOLE, Shape, one_of

ID: Shape = {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}
QUERY: dict[str, tuple[Shape, str]] = {
    "cursor": (TEXT, "Where the page begins, as `next` and `previous` of another page name it."),
    "limit": (
        {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": 50},
        "How many at most.",
    ),
    "search": (TEXT, "Only those with this text in their name."),
    "q": (TEXT, "A target query."),
    "platform": (TEXT, "Only targets of this platform."),
    "environment": (TEXT, "Only targets of this environment."),
    "group": (TEXT, "Only targets in this group."),
    "flag": (TEXT, "Only targets with this flag."),
    "format": (TEXT, "For whom the file is written."),
    "kind": (TEXT, "Only those of this kind."),
    "status": (TEXT, "Only those with this status."),
    "state": (TEXT, "Only those in this state."),
    "workflow": (TEXT, "Only runs of the workflow of this name."),
    "submitted_by": (TEXT, "Only runs that this user submitted."),
    "target": (TEXT, "The target it is about."),
    "name": (TEXT, "The file's name."),
    "run": (ID, "Only files that this run downloaded."),
    "from": (WHOLE, "The earlier version; the one before `to` by default."),
    "to": (WHOLE, "The later version; the newest by default."),
    "after": ({"type": "integer", "minimum": 0}, "The number of the last event that is known."),
    "wait": (
        {"type": "number", "minimum": 0, "maximum": 30},
        "Seconds to wait for news where there are none.",
    ),
    "step": (TEXT, "The name of the step."),
    "body": (one_of(("run", "check", "verify", "undo")), "Which part of the step; `run` by default."),
    "attempt": (TEXT, "Which try; the last by default."),
    "stream": (one_of(("stdout", "stderr")), "Which stream; `stdout` by default."),
    "offset": ({"type": "integer", "minimum": 0}, "The first byte that is wanted."),
}
HEADERS: dict[str, tuple[Shape, str]] = {
    "Idempotency-Key": (
        {"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[ -~]+$"},
        "One key, one run: the same request again gives the same answer, with status 200.",
    ),
    "If-Match": (TEXT, "The ETag of the version that was edited. 412 when it is the newest no more."),
    "If-None-Match": (TEXT, "The ETag of the version at hand. 304 when it is still the newest."),
    "Last-Event-ID": (
        {"type": "string", "pattern": "^[0-9]{1,18}$"},
        "With `Accept: text/event-stream`: the number of the last event that came.",
    ),
    "ETag": (TEXT, "The newest version, as If-Match wants it."),
    "X-Offset": (WHOLE, "Where this piece begins."),
    "X-Next-Offset": (WHOLE, "Where to go on."),
    "X-Dropped": (WHOLE, "Bytes between the offset asked for and this piece that were not kept."),
    "X-Complete": (one_of(("true", "false")), "Whether nothing follows."),
    "Retry-After": (WHOLE, "Seconds to wait before the next request."),
}
NEEDED = {("run.output", "target"), ("run.output", "step"), ("file.create", "name")}


def in_path(path: str, pattern: str) -> list[Shape]:
    """The parts of the path in braces; `pattern` is what the route takes for a name."""
    named: Shape = {"type": "string", "pattern": f"^{pattern}$"}
    return [
        {"name": name, "in": "path", "required": True, "schema": named if name == "name" else ID}
        for name in re.findall(r"{(\w+)}", path)
    ]


def in_query(key: str, names: Iterable[str], given: Any) -> list[Shape]:
    """The query parameters `names`; `given` has shapes that are the operation's own."""
    found = []
    for name in names:
        shape, text = QUERY[name]
        needed = {"required": True} if (key, name) in NEEDED else {}
        found.append(
            {"name": name, "in": "query", "description": text, **needed, "schema": given.get(name, shape)}
        )
    return found


def in_headers(names: Iterable[str]) -> list[Shape]:
    return [
        {"name": name, "in": "header", "description": HEADERS[name][1], "schema": HEADERS[name][0]}
        for name in names
    ]


def given_headers(names: Iterable[str]) -> dict[str, Shape]:
    return {name: {"description": HEADERS[name][1], "schema": HEADERS[name][0]} for name in names}


def query_names(view: Any, key: str) -> tuple[str, ...]:
    """What the operation understands in its query."""
    if key == "file.create":
        return ("name",)
    if key in ("me.list", "library.list"):
        return ()
    if key == "proposal.list":
        return ("status", *PAGE)
    if view.action == "list":
        return (*view.list_keys, *PAGE)
    return tuple(getattr(view, "query_keys", ()))
