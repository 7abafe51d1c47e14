"""JSON: `{"hosts": [{"name", "address", "user", …}], "groups": [{"name", "parents", "query", …}]}`."""

from __future__ import annotations

import json
from typing import Any

from automation.inventory_files.mistakes import InventoryError, Mistake, Place
from automation.inventory_files.rows import IGNORED, Entries, Entry

_LISTS = {"hosts": "a list of objects, one for each target", "groups": "a list of objects"}


def read_json(text: str) -> Entries:
    """The rows of the text. Raises InventoryError when it is not such JSON."""
    data = _loaded(text)
    wrong = [
        Mistake(f"must be {kind}", field=key)
        for key, kind in _LISTS.items()
        if not isinstance(data.get(key, []), list)
    ]
    if "hosts" not in data and "groups" not in data:
        wrong.append(Mistake('needs "hosts", a list of objects, one for each target'))
    if wrong:
        raise InventoryError(wrong)
    notices = [f"{key!r} is not read" for key in data if key not in _LISTS]
    for key in IGNORED:
        if count := sum(isinstance(row, dict) and key in row for row in data.get("hosts", [])):
            notices.append(f"{key!r} of {count} hosts is not read")
    lines = _lines(text)
    return Entries(
        targets=_entries("hosts", data, lines), groups=_entries("groups", data, lines), notices=notices
    )


def _entries(key: str, data: dict[str, Any], lines: dict[str, list[int]]) -> list[Entry]:
    rows = data.get(key, [])
    return [
        Entry(Place(f"{key}[{number}]", line), row)
        for number, (row, line) in enumerate(zip(rows, lines.get(key, []), strict=True))
    ]


def _loaded(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise InventoryError(
            [Mistake(f"not JSON: {error.msg}", line=error.lineno, column=error.colno)]
        ) from None
    except RecursionError:
        raise InventoryError([Mistake("not JSON of an inventory: nested too deeply")]) from None
    except ValueError as error:
        raise InventoryError([Mistake(f"not JSON: {error}")]) from None
    if not isinstance(data, dict):
        raise InventoryError([Mistake('needs an object with "hosts"')])
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:64]!r} stands twice in one object")
    return found


def _lines(text: str) -> dict[str, list[int]]:
    """The lines on which the items of the lists at the top begin. The text has been read as JSON before."""
    scanner = _Scanner(text)
    found: dict[str, list[int]] = {}
    scanner.step("{")
    while scanner.here != "}":
        key = scanner.value()
        scanner.step(":")
        if key in _LISTS and scanner.here == "[":
            found[key] = scanner.items()
        else:
            scanner.value()
        scanner.step(",")
    return found


class _Scanner:
    """Walks over JSON that is known to be right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._decoder = json.JSONDecoder()

    @property
    def here(self) -> str:
        """The next character that is not a space."""
        start = self._at
        while self._text[self._at] in " \t\r\n":
            self._at += 1
        self._line += self._text.count("\n", start, self._at)
        return self._text[self._at]

    def step(self, mark: str) -> None:
        """Go over this mark, if it is here."""
        if self.here == mark:
            self._at += 1

    def value(self) -> Any:
        """Go over a value."""
        _ = self.here  # over the spaces before it
        found, end = self._decoder.raw_decode(self._text, self._at)
        self._line += self._text.count("\n", self._at, end)
        self._at = end
        return found

    def items(self) -> list[int]:
        """Go over a list; the lines on which its items begin."""
        lines: list[int] = []
        self.step("[")
        while self.here != "]":
            lines.append(self._line)
            self.value()
            self.step(",")
        self.step("]")
        return lines
