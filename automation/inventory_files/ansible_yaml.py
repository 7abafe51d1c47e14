"""Ansible inventories in YAML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from automation.inventory_files.ansible import TOP, AnsibleFile, Encrypted, Given, expand
from automation.inventory_files.mistakes import InventoryError, Mistake

MAX_VALUES = 500_000
MAX_DEPTH = 40
_PARTS = ("hosts", "children", "vars")
_PREFIX = "tag:yaml.org,2002:"
_SCALARS = tuple(_PREFIX + name for name in ("str", "int", "float", "bool", "null", "timestamp"))


def read_yaml(text: str) -> AnsibleFile:
    """What stands in the text; what cannot be read is among its mistakes. InventoryError for no YAML."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        problem = " ".join(part for part in (error.context, error.problem) if part)
        raise InventoryError([Mistake(f"not YAML: {problem}", line=line, column=column)]) from None
    except (yaml.YAMLError, RecursionError):
        raise InventoryError([Mistake("not YAML, or nested too deeply")]) from None
    if not isinstance(node, yaml.MappingNode):
        raise InventoryError([Mistake("needs groups by name at the top, like all:", line=1)])
    reader = _YamlReader(loader)
    for key, line, value in reader.items(node):
        reader.group(key, line, value, 0)
    return reader.file


class _YamlReader:
    def __init__(self, loader: yaml.SafeLoader) -> None:
        self.file = AnsibleFile()
        self._loader = loader
        self._count = 0

    def group(self, name: str, line: int, node: yaml.Node, depth: int) -> None:
        group = self.file.group(name, line)
        if depth > MAX_DEPTH:
            raise InventoryError([Mistake("groups are nested too deeply", line=line)])
        for key, key_line, value in self.items(node, f"group {name}"):
            if key not in _PARTS:
                text = f"{key[:64]!r} is no part of a group; parts are {', '.join(_PARTS)}"
                self._wrong(text, key_line, f"group {name}")
            elif key == "vars":
                group.variables |= self.variables(value, f"group {name}")
            elif key == "children":
                for child, child_line, inner in self.items(value, f"group {name}"):
                    group.children.setdefault(child, child_line)
                    self.group(child, child_line, inner, depth + 1)
            else:
                self._hosts(name, value)

    def _hosts(self, group_name: str, node: yaml.Node) -> None:
        group = self.file.groups[group_name]
        for pattern, line, value in self.items(node, f"group {group_name}"):
            try:
                names, port = expand(pattern)
            except ValueError as error:
                self._wrong(str(error), line, f"group {group_name}")
                continue
            variables = self.variables(value, f"host {pattern}")
            if port:
                variables.setdefault("ansible_port", Given(int(port), line))
            known = set(group.hosts)
            for name in names:
                self.file.add_host(name, line, variables)
                if group_name != TOP and name not in known:
                    group.hosts.append(name)

    def variables(self, node: yaml.Node, row: str) -> dict[str, Given]:
        """Variables by name."""
        return {key: Given(self._value(value, 0), line) for key, line, value in self.items(node, row)}

    def items(self, node: yaml.Node, row: str = "") -> Iterator[tuple[str, int, yaml.Node]]:
        """Key, line and value of a mapping; nothing of an empty value."""
        line = node.start_mark.line + 1
        if isinstance(node, yaml.ScalarNode) and node.tag == _PREFIX + "null":
            return
        if not isinstance(node, yaml.MappingNode):
            self._wrong("must be a mapping: a name and a colon on each line", line, row)
            return
        seen: set[str] = set()
        for key, value in node.value:
            here = key.start_mark.line + 1
            self._counted(here)
            if not isinstance(key, yaml.ScalarNode) or key.tag == _PREFIX + "merge":
                self._wrong("keys must be plain text; merge keys are not read", here, row)
            elif key.value in seen:
                self._wrong(f"{key.value[:64]!r} stands here twice", here, row)
            else:
                seen.add(key.value)
                yield key.value, here, value

    def _value(self, node: yaml.Node, depth: int) -> Any:
        line = node.start_mark.line + 1
        self._counted(line)
        if depth > MAX_DEPTH:
            raise InventoryError([Mistake("values are nested too deeply", line=line)])
        if node.tag in ("!vault", "!vault-encrypted"):
            return Encrypted()
        if isinstance(node, yaml.SequenceNode) and node.tag == _PREFIX + "seq":
            return [self._value(each, depth + 1) for each in node.value]
        if isinstance(node, yaml.MappingNode) and node.tag == _PREFIX + "map":
            return {key: self._value(value, depth + 1) for key, _, value in self.items(node)}
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, line)
        self._wrong(f"the tag {node.tag[:64]} is not read", line)
        return ""

    def _scalar(self, node: yaml.ScalarNode, line: int) -> Any:
        if node.tag == "!unsafe":
            return node.value
        if node.tag not in _SCALARS:
            self._wrong(f"the tag {node.tag[:64]} is not read", line)
            return ""
        try:
            return self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError):
            return node.value

    def _counted(self, line: int) -> None:
        # An alias is read again at every place it is used.
        self._count += 1
        if self._count > MAX_VALUES:
            raise InventoryError([Mistake("too many values, or aliases of aliases", line=line)])

    def _wrong(self, text: str, line: int, row: str = "") -> None:
        self.file.mistakes.append(Mistake(text, line=line, row=row))
