"""Ansible inventories in the INI form."""

from __future__ import annotations

import ast
import re
import shlex
from typing import Any

from automation.inventory_files.ansible import LONERS, TOP, AnsibleFile, Given, expand
from automation.inventory_files.mistakes import Mistake

MAX_LITERAL = 10_000
_SECTION = re.compile(r"\[([^\[\]:\s]+)(?::(vars|children|[^\[\]\s]*))?\]\s*(?:#.*)?")
_PLAIN = (str, int, float, bool, list, tuple, dict, type(None))


def read_ini(text: str) -> AnsibleFile:
    """What stands in the text; what cannot be read is among its mistakes."""
    reader = _IniReader()
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        try:
            reader.read(stripped, number)
        except ValueError as error:
            reader.file.mistakes.append(Mistake(str(error), line=number))
    for group, child, number in reader.children:
        if child not in reader.file.groups:
            text = f"there is no group {child[:100]!r} in the file"
            reader.file.mistakes.append(Mistake(text, line=number, row=f"group {group}"))
    return reader.file


class _IniReader:
    def __init__(self) -> None:
        self.file = AnsibleFile()
        self.children: list[tuple[str, str, int]] = []
        self._group = LONERS
        self._kind = "hosts"

    def read(self, line: str, number: int) -> None:
        if line.startswith("[") and (found := _SECTION.fullmatch(line)):
            self._begin(found.group(1), found.group(2), number)
        elif self._kind == "vars":
            self._variable(line, number)
        elif self._kind == "children":
            self._child(line, number)
        else:
            self._host(line, number)

    def _begin(self, name: str, kind: str | None, number: int) -> None:
        if kind not in (None, "hosts", "vars", "children"):
            raise ValueError(f"no section of the kind {kind[:40]!r}: there are vars and children")
        self._group, self._kind = name, kind or "hosts"
        self.file.group(name, number)

    def _variable(self, line: str, number: int) -> None:
        name, equals, value = line.partition("=")
        if not equals:
            raise ValueError("a variable is written name=value")
        found = Given(literal(value.strip()), number)
        self.file.group(self._group, number).variables[name.strip()] = found

    def _child(self, line: str, number: int) -> None:
        words = _words(line)
        if len(words) != 1:
            raise ValueError("a line of a children section is the name of one group")
        self.file.group(self._group, number).children.setdefault(words[0], number)
        self.children.append((self._group, words[0], number))

    def _host(self, line: str, number: int) -> None:
        words = _words(line)
        if not words:
            return
        variables: dict[str, Given] = {}
        for place, word in enumerate(words[1:], start=2):
            name, equals, value = word.partition("=")
            if not equals or not name:
                # Not quoted: it may be the value of a password that stands behind a space.
                raise ValueError(f"word {place} of the line is not a variable: name=value, without spaces")
            variables[name] = Given(literal(value), number)
        names, port = expand(words[0])
        if port:
            variables.setdefault("ansible_port", Given(int(port), number))
        group = self.file.group(self._group, number) if self._group not in (TOP, LONERS) else None
        for name in names:
            self.file.add_host(name, number, variables)
            if group is not None and name not in group.hosts:
                group.hosts.append(name)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError as error:
        raise ValueError(f"the line cannot be split into words: {str(error).lower()}") from None


def literal(text: str) -> Any:
    """A value as Ansible reads it in this form: a Python literal where it is one, else the text itself."""
    if len(text) > MAX_LITERAL:
        return text
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
    return found if isinstance(found, _PLAIN) else text
