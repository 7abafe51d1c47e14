"""The target query: `group:"web servers" (env:prod or env:stage) fact:os.version>=12 -name:db-3`.

Terms separated by spaces (or `and`) must all hold, also two of the same field (`tag:a tag:b`: both tags).
With `or` between them one side suffices; it binds less closely, and parentheses group. A leading `-`, or
`not`, negates a term or a group in parentheses. A bare word is a name. `*` and `?` are wildcards, except
inside quotes; case never matters. `var:name=value` and `fact:name=value` may compare (`>=`, `<=`, `>`, `<`):
numbers by size, texts as versions, part by part. `is:` takes a flag. `all` matches every target, and is
needed where there are only negations, so that nobody runs on nearly everything by leaving something out.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from automation.definitions.errors import QueryError, did_you_mean, nearest
from automation.definitions.names import well_formed
from automation.definitions.query_terms import (
    COMPARISONS,
    FIELDS,
    FLAGS,
    KEYED,
    RESERVED_CHARACTERS,
    Candidate,
    Group,
    Node,
    Term,
    column_of_exclusion,
)

__all__ = [
    "FIELDS",
    "FLAGS",
    "MAX_QUERY",
    "PLATFORMS",
    "Candidate",
    "Group",
    "Node",
    "Query",
    "Term",
    "parse",
]

MAX_QUERY = 2_000
MAX_TERMS = 100
MAX_DEPTH = 20

PLATFORMS = ("linux", "windows")
_SYNONYMS = {"platform": "os", "environment": "env"}
_CLOSED_SETS = {"os": ("platform", PLATFORMS), "is": ("flag", FLAGS)}
_WORDS = ("or", "and", "not")
_WORD = re.compile(r"(?i:or|and|not)(?=[\s()]|$)")
_FACT = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
_EXAMPLES = {"var": "a variable is written var:name=value", "fact": "a fact is written fact:name=value"}


@dataclass(frozen=True, slots=True)
class Query:
    """A target query that has been read."""

    root: Node

    @property
    def terms(self) -> tuple[Term, ...]:
        """All terms, in their order, whatever holds them together."""
        return tuple(self.root.terms)

    def matches(self, candidate: Candidate) -> bool:
        """Whether the candidate is named by the query."""
        return self.root.matches(candidate)

    def reasons(self, candidate: Candidate) -> tuple[Node, ...]:
        """The parts of the query that let the candidate in; none if it does not match."""
        return tuple(self.root.reasons(candidate))

    def names_groups(self) -> tuple[str, ...]:
        """The groups named without wildcards, negated ones too, each once: for the check that they exist."""
        named = {
            term.value.casefold(): term.value
            for term in self.terms
            if term.field == "group" and not term.has_wildcard
        }
        return tuple(named.values())

    def to_text(self) -> str:
        """The query in one spelling; `parse` gives an equal query back."""
        return self.root.to_text()


def parse(text: str) -> Query:
    """Read a target query; QueryError with the column of the first mistake, and the text it stands in."""
    try:
        return _read(text)
    except QueryError as error:
        raise error.within(text) from None


def read_term(field: str, value: str) -> tuple[Term, ...]:
    """The term that names exactly `value` in `field`; none for an empty value. Raises as `parse` does."""
    if not value:
        return ()
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return parse(f'{field}:"{escaped}"').terms


def _read(text: str) -> Query:
    if len(text) > MAX_QUERY:
        raise QueryError(f"a query has at most {MAX_QUERY} characters", column=MAX_QUERY + 1)
    reader = _Reader(text)
    if not reader.skip_space():
        raise QueryError("the query is empty; write all to mean every target")
    root = reader.either()
    if reader.here == ")":
        raise QueryError("this parenthesis closes nothing", column=reader.column)
    column = column_of_exclusion(root)
    if column is not None:
        whole = all(column_of_exclusion(part) is not None for part in (root, *_sides(root)))
        message = "there are only exclusions; write all in front to mean every other target"
        raise QueryError(message, column=1 if whole else column)
    return Query(root)


def _sides(root: Node) -> Iterable[Node]:
    return root.parts if isinstance(root, Group) and root.either and not root.negated else ()


def _joined(parts: list[Node], *, either: bool, column: int) -> Node:
    """One node of these parts; groups of the same kind become one, so that equal queries compare equal."""
    flat: list[Node] = []
    for part in parts:
        same = isinstance(part, Group) and part.either == either and not part.negated
        flat += part.parts if same and isinstance(part, Group) else [part]
    return flat[0] if len(flat) == 1 else Group(tuple(flat), either=either, column=column)


class _Reader:
    """One pass over the text; every method starts at `at` and leaves it behind what it has read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.count = 0
        self.depth = 0

    @property
    def column(self) -> int:
        return self.at + 1

    @property
    def here(self) -> str:
        return self.text[self.at : self.at + 1]

    @property
    def word(self) -> str:
        """The `or`, `and` or `not` that stands here, in small letters."""
        found = _WORD.match(self.text, self.at)
        return found.group().lower() if found else ""

    def skip_space(self) -> bool:
        while self.here.isspace():
            self.at += 1
        return self.at < len(self.text)

    def skip_word(self) -> None:
        self.at += len(self.word)
        self.skip_space()

    def either(self) -> Node:
        column = self.column
        parts = [self.together()]
        while self.word == "or":
            self.skip_word()
            parts.append(self.together())
        return _joined(parts, either=True, column=column)

    def together(self) -> Node:
        column = self.column
        parts = [self.part()]
        while self.skip_space() and self.here != ")" and self.word != "or":
            if self.word == "and":
                self.skip_word()
            parts.append(self.part())
        return _joined(parts, either=False, column=column)

    def part(self) -> Node:
        """One term or group, with what negates it."""
        start = self.column
        negated = False
        while self.word == "not":
            negated = not negated
            self.skip_word()
        if self.word or self.here in ("", ")"):
            raise QueryError(self.what_is_missing(), column=self.column)
        if self.here == "-":
            negated = not negated
            self.at += 1
        found = self.group() if self.here == "(" else self.term()
        return replace(found, negated=found.negated != negated, column=start)

    def what_is_missing(self) -> str:
        if self.word:
            return f"a term is missing before {self.word!r}; a target of that name is written in quotes"
        return (
            "the parentheses are empty"
            if self.text[: self.at].rstrip()[-1:] == "("
            else "a term is missing here"
        )

    def group(self) -> Node:
        start = self.column
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise QueryError(f"parentheses are nested more than {MAX_DEPTH} deep", column=start)
        self.at += 1
        self.skip_space()
        found = self.either()
        if self.here != ")":
            raise QueryError("this parenthesis is never closed", column=start)
        self.at += 1
        self.depth -= 1
        self.needs_end("the parenthesis")
        return found

    def term(self) -> Term:
        self.count += 1
        if self.count > MAX_TERMS:
            raise QueryError(f"a query has at most {MAX_TERMS} terms", column=self.column)
        start = self.column
        if self.here == '"':
            name = self.quoted()
            return Term("name", name, exact=_needs_exact(name))
        word = self.bare(stop=":")
        if self.here != ":":
            return self.bare_word(word, start)
        field = self.field(word, start)
        self.at += 1
        key, comparison = self.key(field) if field in KEYED else ("", "=")
        value_start = self.column
        exact = self.here == '"'
        value = self.quoted() if exact else self.bare()
        if not value:
            raise QueryError(f"{field}: needs a value", column=value_start)
        term = Term(field, value, exact=exact and _needs_exact(value), key=key, comparison=comparison)
        self.check(term, value_start)
        return term

    def check(self, term: Term, column: int) -> None:
        if term.comparison != "=" and ("*" in term.value or "?" in term.value):
            raise QueryError(f"{term.comparison} takes no wildcards", column=column)
        kind, known = _CLOSED_SETS.get(term.field, ("", ()))
        if known and not term.has_wildcard and term.value.lower() not in known:
            raise QueryError(f"no {kind} {term.value!r}{did_you_mean(term.value, known)}", column=column)

    def bare_word(self, word: str, start: int) -> Term:
        if not word:
            raise QueryError("a word is missing here", column=start)
        if word.lower() in _WORDS:
            raise QueryError(f"a minus before {word!r} means nothing", column=start)
        if word.lower() == "all":
            return Term("all")
        return Term("name", word)

    def field(self, word: str, start: int) -> str:
        lower = _SYNONYMS.get(word.lower(), word.lower())
        if lower in FIELDS:
            return lower
        near = nearest(word, (*FIELDS, *_SYNONYMS))
        hint = f"did you mean {near}:?" if near else f"fields are {', '.join(FIELDS)}"
        raise QueryError(f"no field {word!r}; {hint}", column=start)

    def key(self, field: str) -> tuple[str, str]:
        """The name before the comparison, and the comparison."""
        start = self.column
        key = self.bare(stop="=<>")
        comparison = next((each for each in COMPARISONS if self.text.startswith(each, self.at)), "")
        if not comparison:
            raise QueryError(_EXAMPLES[field], column=start)
        if field == "fact":
            key = key.lower()
            if not _FACT.fullmatch(key):
                raise QueryError(f"{key!r} is not the name of a fact, like os.version", column=start)
        elif not well_formed(key):
            raise QueryError(f"{key!r} is not the name of a variable", column=start)
        self.at += len(comparison)
        return key, comparison

    def bare(self, stop: str = "") -> str:
        start = self.at
        while self.here and not self.here.isspace() and self.here not in (stop or " ") and self.here != ")":
            if self.here == '"':
                raise QueryError("a quote must stand at the beginning of a value", column=self.column)
            if self.here in RESERVED_CHARACTERS:
                message = f"{self.here!r} is not part of the language; put the value in quotes"
                raise QueryError(message, column=self.column)
            self.at += 1
        return self.text[start : self.at]

    def quoted(self) -> str:
        start = self.column
        self.at += 1
        characters: list[str] = []
        while self.here and self.here != '"':
            self.at += self.here == "\\" and self.text[self.at + 1 : self.at + 2] in ("\\", '"')
            characters.append(self.here)
            self.at += 1
        if not self.here:
            raise QueryError("this quote is never closed", column=start)
        self.at += 1
        self.needs_end("the quote")
        if not characters:
            raise QueryError("the quotes are empty", column=start)
        return "".join(characters)

    def needs_end(self, what: str) -> None:
        if self.here and not self.here.isspace() and self.here != ")":
            raise QueryError(f"a space is missing after {what}", column=self.column)


def _needs_exact(value: str) -> bool:
    # Only where quotes change the meaning, so that equal queries compare equal.
    return "*" in value or "?" in value
