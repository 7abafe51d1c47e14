"""What two versions of a workflow differ in: by path for people and programs, by line for scripts."""

from collections.abc import Iterator
from difflib import unified_diff
from typing import Any, Literal, NamedTuple

Kind = Literal["added", "removed", "changed", "moved"]
_ABSENT = object()


class Change(NamedTuple):
    """One difference. `before` is None where something was added, `after` where it was removed."""

    kind: Kind
    path: str
    before: Any
    after: Any

    @property
    def lines(self) -> list[str]:
        """Of texts of several lines those that differ, with three around them, as `diff -u` has them."""
        texts = [each for each in (self.before, self.after) if isinstance(each, str)]
        if self.kind != "changed" or len(texts) < 2 or not any("\n" in text for text in texts):
            return []
        before, after = (text.splitlines() for text in texts)
        return list(unified_diff(before, after, lineterm="", n=3))[2:]

    def as_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "path": self.path, "before": self.before, "after": self.after}


def changes_between(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """The differences of two canonical definitions, in order of the later one.

    Steps are the same step when they have the same name, wherever they stand; so are parameters.
    """
    return list(_of_maps(_with_named_steps(before), _with_named_steps(after), ""))


def _with_named_steps(definition: dict[str, Any]) -> dict[str, Any]:
    steps = {
        step["name"]: {"position": number, **{key: value for key, value in step.items() if key != "name"}}
        for number, step in enumerate(definition.get("steps", ()), start=1)
    }
    return {**definition, "steps": steps}


def _of_maps(before: dict[str, Any], after: dict[str, Any], path: str) -> Iterator[Change]:
    for key in [*after, *(key for key in before if key not in after)]:
        yield from _of_values(before.get(key, _ABSENT), after.get(key, _ABSENT), _below(path, key))


def _of_values(before: Any, after: Any, path: str) -> Iterator[Change]:
    # A key that is not there and one that says nothing are the same: the language gets new keys.
    if before == after or (_empty(before) and _empty(after)):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _of_maps(before, after, path)
    elif _empty(before):
        yield Change("added", path, None, after)
    elif _empty(after):
        yield Change("removed", path, before, None)
    else:
        yield Change("moved" if path.endswith("].position") else "changed", path, before, after)


def _empty(value: Any) -> bool:
    return value is _ABSENT or value is None or value is False or value in ({}, [], "")


def _below(path: str, key: str) -> str:
    if path == "steps":
        return f"steps[{key!r}]"
    return f"{path}.{key}" if path else key
