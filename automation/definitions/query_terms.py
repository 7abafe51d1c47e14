"""What a target query is made of: terms, and terms held together by `and`, `or` and parentheses."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any, Protocol

FIELDS = ("name", "group", "os", "env", "tag", "zone", "var", "fact", "is")
KEYED = ("var", "fact")
FLAGS = ("enabled", "disabled", "maintenance")
# Kept free for the language to grow, or meaning something already; a value that holds one of them is quoted.
RESERVED_CHARACTERS = "()|,&!"
COMPARISONS = (">=", "<=", ">", "<", "=")
_PARTS = re.compile(r"\d+|[^\W\d_]+")


class Candidate(Protocol):
    """What a query looks at; `groups` holds every group the target is in, parents included."""

    @property
    def name(self) -> str: ...
    @property
    def groups(self) -> Iterable[str]: ...
    @property
    def tags(self) -> Iterable[str]: ...
    @property
    def environment(self) -> str | None: ...
    @property
    def platform(self) -> str | None: ...
    @property
    def zone(self) -> str | None: ...
    @property
    def variables(self) -> Mapping[str, object]: ...
    @property
    def facts(self) -> Mapping[str, object]: ...
    @property
    def flags(self) -> Iterable[str]: ...


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. `field` is one of FIELDS or `all`.

    `key` is the name of `var:name=value` and `fact:name=value`, `comparison` what stands between them.
    `column` is where the term stands in the text; equal terms may stand anywhere.
    """

    field: str
    value: str = ""
    exact: bool = False
    negated: bool = False
    key: str = ""
    comparison: str = "="
    column: int = attribute(default=1, compare=False)

    @property
    def has_wildcard(self) -> bool:
        """Whether `value` is a pattern."""
        return not self.exact and ("*" in self.value or "?" in self.value)

    @property
    def terms(self) -> Iterator["Term"]:
        """Itself, as a node has its terms."""
        yield self

    def matches(self, candidate: Candidate) -> bool:
        """Whether the candidate meets this term, its negation included."""
        return (self.field == "all" or bool(self.matched(candidate))) != self.negated

    def matched(self, candidate: Candidate) -> tuple[str, ...]:
        """Which of the candidate's values this term names, its negation left aside; none for `all`."""
        values = (each for each in self._values(candidate) if each not in (None, ""))
        return tuple(str(each) for each in values if self._holds(each))

    def reasons(self, candidate: Candidate) -> Iterator["Node"]:
        """What of this let the candidate in: itself, if it matches."""
        if self.matches(candidate):
            yield self

    def _values(self, candidate: Candidate) -> Iterable[object]:
        match self.field:
            case "name":
                return (candidate.name,)
            case "group":
                return candidate.groups
            case "tag":
                return candidate.tags
            case "os":
                return (candidate.platform,)
            case "env":
                return (candidate.environment,)
            case "zone":
                return (candidate.zone,)
            case "is":
                return candidate.flags
            case "var":
                return _each(candidate.variables.get(self.key))
            case "fact":
                return _each(candidate.facts.get(self.key))
        return ()

    def _holds(self, value: object) -> bool:
        if self.comparison != "=":
            return _compares(value, self.comparison, self.value)
        text = str(value)
        if self.has_wildcard:
            return _glob(self.value.casefold(), text.casefold())
        return self.value.casefold() == text.casefold()

    def to_text(self) -> str:
        """The term in the language, in one spelling."""
        sign = "-" if self.negated else ""
        if self.field == "all":
            return f"{sign}all"
        key = f"{self.key}{self.comparison}" if self.field in KEYED else ""
        return f"{sign}{self.field}:{key}{self._quoted()}"

    def _quoted(self) -> str:
        special = any(each.isspace() or each in '"' + RESERVED_CHARACTERS for each in self.value)
        wildcard = "*" in self.value or "?" in self.value
        # A value that begins like the rest of a longer comparison would be read as part of it.
        misread = self.field in KEYED and self.value[:1] in "<>="
        if not special and not misread and not (self.exact and wildcard):
            return self.value
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'


@dataclass(frozen=True, slots=True)
class Group:
    """Parts that must all hold (`either` is false), or one of which must; at least two of them."""

    parts: tuple["Node", ...]
    either: bool = False
    negated: bool = False
    column: int = attribute(default=1, compare=False)

    @property
    def terms(self) -> Iterator[Term]:
        """All terms in it, in their order."""
        for part in self.parts:
            yield from part.terms

    def matches(self, candidate: Candidate) -> bool:
        """Whether the candidate meets this, its negation included."""
        held = (part.matches(candidate) for part in self.parts)
        return (any(held) if self.either else all(held)) != self.negated

    def reasons(self, candidate: Candidate) -> Iterator["Node"]:
        """The smallest parts that let the candidate in; a negated group is one such part."""
        if not self.matches(candidate):
            return
        if self.negated:
            yield self
            return
        for part in self.parts:
            yield from part.reasons(candidate)

    def to_text(self) -> str:
        """The group in the language, with its parentheses where it is negated."""
        inner = self.inner_text()
        return f"-({inner})" if self.negated else inner

    def inner_text(self) -> str:
        """What stands between the parentheses."""
        return (" or " if self.either else " ").join(map(self._part_text, self.parts))

    def _part_text(self, part: "Node") -> str:
        # `and` binds closer than `or`, so only an `or` inside of an `and` needs its parentheses.
        if isinstance(part, Group) and part.either and not part.negated:
            return f"({part.to_text()})"
        return part.to_text()


Node = Term | Group


def column_of_exclusion(node: Node, *, negated: bool = False) -> int | None:
    """Where a part stands that would match by exclusion alone, or None.

    Such a part names nearly everything by leaving something out, which nobody should do by accident.
    """
    excludes = node.negated != negated
    if isinstance(node, Term):
        return node.column if excludes else None
    found = [column_of_exclusion(part, negated=excludes) for part in node.parts]
    # A negated `or` is an `and` of negations, and the other way round.
    if node.either != excludes:
        return next((column for column in found if column is not None), None)
    return node.column if all(column is not None for column in found) else None


def _each(value: object) -> Iterable[object]:
    match value:
        case bool():
            return ("true" if value else "false",)
        case list() | tuple():
            return tuple(value)
    return (value,)


def _compares(found: object, comparison: str, wanted: str) -> bool:
    """By size where the value is a number, else part by part as versions are: 12.10 is after 12.9."""
    left: Any
    right: Any
    left, right = _parts(str(found)), _parts(wanted)
    if isinstance(found, int | float):
        try:
            left, right = float(found), float(wanted)
        except (ValueError, OverflowError):
            return False
    match comparison:
        case ">":
            return bool(left > right)
        case ">=":
            return bool(left >= right)
        case "<":
            return bool(left < right)
    return bool(left <= right)


def _parts(version: str) -> list[tuple[bool, int, str]]:
    # Words stand before numbers: 12.rc1 is older than 12.1. A number of absurd length is cut, not counted.
    found = _PARTS.findall(version.casefold())
    return [(True, int(part[:30]), "") if part.isdecimal() else (False, 0, part) for part in found]


def _glob(pattern: str, text: str) -> bool:
    """Wildcard match with one step back at most: never more than len(pattern) * len(text) steps."""
    at = position = mark = 0
    star = -1
    while position < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, mark = at, position
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[position]):
            at += 1
            position += 1
        elif star >= 0:
            mark += 1
            at, position = star + 1, mark
        else:
            return False
    return not pattern[at:].strip("*")
