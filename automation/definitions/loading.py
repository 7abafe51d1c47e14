"""YAML or JSON text to plain data, once, with the line of every value.

Only plain data comes out: no tags, no merge keys, no YAML 1.1 surprises (`yes`, `1:30`, dates are text),
duplicate keys refused, size, depth and number of values limited also across aliases.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

import yaml

from automation.definitions.errors import DefinitionError, Finding

MAX_TEXT_BYTES = 4 * 1024 * 1024
MAX_VALUES = 10_000
MAX_DEPTH = 24
MAX_ALIASES = 100

Path = tuple[str | int, ...]


@dataclass
class Document:
    """Plain data and, per path, the line (from 1) its key or item stands on."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)

    def line_of(self, path: Path) -> int | None:
        """The line of the nearest thing at or above `path`; None when the source has no lines."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


def spell(path: Path) -> str:
    """A path as people write it: `steps[1].run.bash`; keys of absurd length are cut."""
    text = ""
    for part in path:
        part = part if isinstance(part, int) else part[:100]
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_document(text: str, *, origin: str) -> Document:
    """Parse YAML or JSON; DefinitionError when it is neither or exceeds a limit."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise _refusal(f"the text is longer than {MAX_TEXT_BYTES // 1024 // 1024} MiB", None, origin)
    as_json = _read_json(text) if text.lstrip("\ufeff \t\r\n").startswith("{") else None
    try:
        document = _read_yaml(text, origin)
    except DefinitionError:
        # JSON may hold what YAML cannot (tabs between values): then the data is right and lines are missing.
        if as_json is None:
            raise
        return Document(as_json)
    # Where both can read it JSON decides: only there two escapes of a surrogate pair are one character.
    if as_json is not None:
        document.data = as_json
    return document


def _refusal(message: str, line: int | None, origin: str, path: Path = ()) -> DefinitionError:
    return DefinitionError([Finding(line=line, path=spell(path), message=message)], origin=origin)


# --- JSON


def _read_json(text: str) -> dict[str, Any] | None:
    """The data of JSON text; None when it is not JSON (YAML may start with a brace, too) or too much."""
    try:
        data = json.loads(text.lstrip("\ufeff"), object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) and is_small(data) else None


def _unique_keys(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) != len(items):
        raise ValueError("a key stands here twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number here")


def is_small(data: object) -> bool:
    """Whether plain data stays inside the limits of number and depth of values."""
    waiting: list[tuple[object, int]] = [(data, 1)]
    count = 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if count > MAX_VALUES or depth > MAX_DEPTH:
            return False
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        waiting.extend((child, depth + 1) for child in children)
    return True


# --- YAML


class _Loader(yaml.SafeLoader):
    """The safe loader with the scalars of JSON only, counting nodes while it composes them."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}  # type: ignore[misc]

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.seen = 0
        self.depth = 0
        self.aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.seen += 1
        self.aliases += self.check_event(yaml.AliasEvent)
        if self.seen > MAX_VALUES * 2 or self.depth >= MAX_DEPTH or self.aliases > MAX_ALIASES:
            mark = self.get_mark()
            raise yaml.MarkedYAMLError(
                problem="too many values or aliases, or nested too deeply", problem_mark=mark
            )
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""])
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9][0-9]{0,29})$"), list("-0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^-?(?:0|[1-9][0-9]{0,29})(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,3})?$"),
    list("-0123456789"),
)


def _read_yaml(text: str, origin: str) -> Document:
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(part for part in (error.context, error.problem) if part)
        raise _refusal(f"not readable as YAML: {problem}", mark.line + 1 if mark else None, origin) from None
    except yaml.YAMLError as error:
        raise _refusal(f"not readable as YAML: {str(error).splitlines()[0]}", None, origin) from None
    except RecursionError:
        raise _refusal("values are nested too deeply", None, origin) from None
    if node is None:
        raise _refusal("the definition is empty", 1, origin)
    reader = _Reader(origin)
    reader.document.lines[()] = node.start_mark.line + 1
    reader.document.data = reader.value(node, ())
    if reader.findings:
        raise DefinitionError(reader.findings, origin=origin)
    return reader.document


class _Reader:
    """Turns nodes into plain data; an alias is read again at every place it is used, and counted."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.document = Document()
        self.findings: list[Finding] = []
        self.count = 0

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.count += 1
        if self.count > MAX_VALUES or len(path) > MAX_DEPTH:
            raise _refusal("too many values, or nested too deeply", node.start_mark.line + 1, self.origin)
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.item(child, (*path, index)) for index, child in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        return self.refuse(f"the tag {node.tag} is not supported", node, path)

    def item(self, node: yaml.Node, path: Path) -> Any:
        self.document.lines[path] = node.start_mark.line + 1
        return self.value(node, path)

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or not isinstance(self.scalar(key_node, path), str):
                self.refuse("keys must be text; put this one in quotes", key_node, path)
            elif key in found:
                self.refuse(f"the key {key[:100]!r} stands here twice", key_node, (*path, key))
            else:
                self.document.lines[(*path, key)] = key_node.start_mark.line + 1
                found[key] = self.value(value_node, (*path, key))
        return found

    def scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text: str = node.value
        try:
            match node.tag.removeprefix("tag:yaml.org,2002:"):
                case "str":
                    return text
                case "null":
                    return None
                case "bool" if text in ("true", "false"):
                    return text == "true"
                case "int" if len(text) <= 31:
                    return int(text)
                case "float" if len(text) <= 70:
                    return float(text)
        except ValueError:
            return self.refuse(f"cannot be read as the tag {node.tag} says", node, path)
        return self.refuse(f"the tag {node.tag} is not supported", node, path)

    def refuse(self, message: str, node: yaml.Node, path: Path) -> None:
        line = node.start_mark.line + 1
        self.findings.append(Finding(line=line, path=spell(path), message=message))
