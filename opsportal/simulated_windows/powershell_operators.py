"""What the operators of PowerShell give, as far as the simulated target plays them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from opsportal.simulated_windows.command_line import NotEmulated
from opsportal.simulated_windows.things import text_of

_FORMAT = re.compile(r"\{(\d+)(?:,(-?\d+))?(?::([NF])(\d*))?\}")
FILTERS = ("eq", "ne", "gt", "ge", "lt", "le", "like", "notlike", "match", "notmatch")


def is_true(value: Any) -> bool:
    """As in a condition: nothing, no text, zero and an empty list are false."""
    if isinstance(value, list):
        return len(value) > 1 or (len(value) == 1 and is_true(value[0]))
    if isinstance(value, str | int | float | bool):
        return bool(value)
    return value is not None


def operate(operator: str, left: Any, right: Any) -> Any:
    """The value of `left operator right`. Raises NotEmulated."""
    if operator in FILTERS and isinstance(left, list):
        return [item for item in left if _COMPARISONS[operator](item, right)]
    if operator in _COMPARISONS:
        return _COMPARISONS[operator](left, right)
    if operator == "f":
        return formatted(text_of(left), right if isinstance(right, list) else [right])
    if operator == "+" and isinstance(left, str):
        return left + text_of(right)
    if operator == "+" and isinstance(left, list):
        return [*left, *(right if isinstance(right, list) else [right])]
    return _reckoned(operator, left, right)


def call(value: Any, method: str, arguments: list[Any]) -> Any:
    """The few methods there are. Raises NotEmulated."""
    if isinstance(value, datetime):
        if method == "touniversaltime":
            return value.astimezone(UTC)
        if method == "tostring" and arguments in (["o"], ["O"]):
            return value.isoformat()
    elif method == "tostring" and not arguments:
        return text_of(value)
    elif isinstance(value, str) and not arguments and method in ("trim", "tolower", "toupper"):
        return {"trim": value.strip, "tolower": value.lower, "toupper": value.upper}[method]()
    raise NotEmulated(f"the method {method}({', '.join(map(text_of, arguments))})")


def formatted(text: str, values: list[Any]) -> str:
    """`-f`: places with a width, numbers with N or F. Raises NotEmulated for any other."""

    def place(found: re.Match[str]) -> str:
        index, width, kind, digits = found.groups()
        value = values[int(index)]
        if kind:
            grouping = "," if kind == "N" else ""
            shown = f"{float(value or 0):{grouping}.{int(digits or 2)}f}"
        else:
            shown = text_of(value)
        return shown.rjust(int(width)) if int(width or 0) > 0 else shown.ljust(-int(width or 0))

    done = _FORMAT.sub(place, text)
    if "{" in _FORMAT.sub("", text):
        raise NotEmulated(f"the format {text}")
    return done


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, bool):
        return left == is_true(right)
    if isinstance(left, int | float) and not isinstance(right, str):
        return bool(left == right)
    if left is None or right is None:
        return left is right
    return text_of(left).lower() == text_of(right).lower()


def _order(left: Any, right: Any) -> int:
    if isinstance(left, int | float):
        try:
            other = float(right or 0)
        except (TypeError, ValueError):
            raise NotEmulated(f"comparing {text_of(left)} with {text_of(right)}") from None
        return (left > other) - (left < other)
    if isinstance(left, datetime) and isinstance(right, datetime):
        return (left > right) - (left < right)
    one, two = text_of(left).lower(), text_of(right).lower()
    return (one > two) - (one < two)


def _in(item: Any, items: Any) -> bool:
    return any(_equal(each, item) for each in (items if isinstance(items, list) else [items]))


def _like(left: Any, right: Any) -> bool:
    return fnmatchcase(text_of(left).lower(), text_of(right).lower())


def _match(left: Any, right: Any) -> bool:
    return re.search(text_of(right), text_of(left), re.IGNORECASE) is not None


def _reckoned(operator: str, left: Any, right: Any) -> float | int:
    try:
        one, two = (each if isinstance(each, int | float) else float(each or 0) for each in (left, right))
    except (TypeError, ValueError):
        raise NotEmulated(f"{text_of(left)} {operator} {text_of(right)}") from None
    match operator:
        case "+":
            return one + two
        case "-":
            return one - two
        case "*":
            return one * two
        case "/" if two:
            return one / two
    raise NotEmulated(f"{text_of(left)} {operator} {text_of(right)}")


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": _equal,
    "ne": lambda left, right: not _equal(left, right),
    "gt": lambda left, right: _order(left, right) > 0,
    "ge": lambda left, right: _order(left, right) >= 0,
    "lt": lambda left, right: _order(left, right) < 0,
    "le": lambda left, right: _order(left, right) <= 0,
    "contains": lambda left, right: _in(right, left),
    "notcontains": lambda left, right: not _in(right, left),
    "in": _in,
    "like": _like,
    "notlike": lambda left, right: not _like(left, right),
    "match": _match,
    "notmatch": lambda left, right: not _match(left, right),
}
