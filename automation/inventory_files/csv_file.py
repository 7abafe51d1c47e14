"""CSV: a line of column names, then one line for each target, or group where the column `kind` says so.

Lists (groups, tags, parents, host_key) are separated by `;`, `variables` is a JSON object, and `var:NAME`
gives one variable as text. An empty cell gives nothing. Cells are separated by commas or semicolons,
whichever the first line has more of.
"""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

from automation.definitions.errors import did_you_mean
from automation.inventory_files.mistakes import InventoryError, Mistake, Place
from automation.inventory_files.rows import GROUP_KINDS, TARGET_KINDS, Entries, Entry

LISTS = ("groups", "tags", "parents", "host_key")
FLAGS = ("enabled", "maintenance")
COLUMNS = ("kind", *TARGET_KINDS, *(key for key in GROUP_KINDS if key not in TARGET_KINDS))
VARIABLE = "var:"
# Spreadsheets take cells that begin so for formulas; an apostrophe is written in front, which goes away here.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
_SPECIAL = re.compile(r"[;\\]|^ | (?= *$)")
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def read_csv(text: str) -> Entries:
    """The rows of the text. Raises InventoryError when the columns cannot be told."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    entries = Entries()
    try:
        names = [name.strip() for name in next(reader, [])]
        _check_columns(names)
        start = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                _add(entries, names, cells, start)
            start = reader.line_num + 1
    except csv.Error as error:
        raise InventoryError([Mistake(f"not CSV: {error}", line=reader.line_num)]) from None
    return entries


def _delimiter(text: str) -> str:
    first = text.split("\n", 1)[0]
    return ";" if first.count(";") > first.count(",") else ","


def _check_columns(names: list[str]) -> None:
    if "name" not in names:
        # Not quoted: a file of another kind may hold a secret in its first line.
        raise InventoryError([Mistake("needs a line of column names first, among them name", line=1)])
    wrong = [
        Mistake(f"unknown column {name[:64]!r}{did_you_mean(name, COLUMNS)}", line=1, column=number)
        for number, name in enumerate(names, start=1)
        if name not in COLUMNS and not name.startswith(VARIABLE)
    ]
    wrong += [
        Mistake(f"the column {name[:64]!r} stands here twice", line=1, column=number)
        for number, name in enumerate(names, start=1)
        if name in names[: number - 1]
    ]
    if wrong:
        raise InventoryError(wrong)


def _add(entries: Entries, names: list[str], cells: list[str], line: int) -> None:
    place = Place("row", line, columns={name: number for number, name in enumerate(names, start=1)})
    if len(cells) > len(names):
        entries.mistakes.append(place.mistake(f"has {len(cells)} cells for {len(names)} columns"))
        return
    data: dict[str, Any] = {}
    variables: dict[str, Any] = {}
    kind = "target"
    before = len(entries.mistakes)
    for name, given in zip(names, cells, strict=False):
        text = _cell(name, given)
        if not text:
            continue
        try:
            if name.startswith(VARIABLE):
                variables[name.removeprefix(VARIABLE)] = text
            elif name == "kind":
                kind = _kind(text)
            else:
                data[name] = _value(name, text)
        except ValueError as error:
            entries.mistakes.append(place.named(data.get("name")).mistake(str(error), about=name))
    if len(entries.mistakes) > before:
        return
    if variables or "variables" in data:
        data["variables"] = data.get("variables", {}) | variables
    (entries.groups if kind == "group" else entries.targets).append(Entry(place, data))


def _cell(name: str, cell: str) -> str:
    if name == "password":
        return cell
    literal = cell[1:]
    if cell[:1] == "'" and (literal.startswith(FORMULA) or literal != literal.strip(" ")):
        return literal
    return cell.strip(" ")


def cell(text: str) -> str:
    """Text as a cell that no spreadsheet takes for a formula, and that is read back the same."""
    return f"'{text}" if text.startswith(FORMULA) or text != text.strip(" ") else text


def _kind(text: str) -> str:
    if text.lower() not in ("target", "group"):
        raise ValueError("must be target or group")
    return text.lower()


def _value(name: str, text: str) -> Any:
    if name in LISTS:
        return split(text)
    if name in FLAGS:
        if text.lower() not in _WORDS:
            raise ValueError("must be true or false")
        return _WORDS[text.lower()]
    if name == "port":
        if not (text.isascii() and text.isdigit() and len(text) < 8):
            raise ValueError("must be a whole number")
        return int(text)
    if name in ("variables", "winrm"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError('must be a JSON object like {"port": 8080}') from None
        if not isinstance(found, dict):
            raise ValueError('must be a JSON object like {"port": 8080}')
        return found
    return text


def split(text: str) -> list[str]:
    """The items of a list in one cell, without spaces around them; after `\\` a character is part of one."""
    items: list[str] = []
    item = spaces = ""
    characters = iter(text + ";")
    for each in characters:
        if each == ";":
            items += [item] if item else []
            item = spaces = ""
        elif each == " ":
            spaces += " " if item else ""
        else:
            item += spaces + (next(characters) if each == "\\" else each)
            spaces = ""
    return items


def join(items: list[str]) -> str:
    """The inverse of `split`."""
    return ";".join(_SPECIAL.sub(r"\\\g<0>", item) for item in items)
