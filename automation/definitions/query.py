"""The target query: `group:"web servers" os:linux env:prod tag:web name:db* -name:db-3`.

Terms are separated by spaces and must all hold, also two of the same field (`tag:a tag:b`: both tags). A
leading `-` negates a term. A bare word is a name. `*` and `?` are wildcards, except inside quotes; case never
matters. `all` matches every target, and is needed where there are only negations, so that nobody runs on
nearly everything by leaving something out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from automation.definitions.errors import QueryError, did_you_mean, nearest
from automation.definitions.names import well_formed

MAX_QUERY = 2_000
MAX_TERMS = 100

FIELDS = ("name", "group", "os", "env", "tag", "zone", "var")
PLATFORMS = ("linux", "windows")
_SYNONYMS = {"platform": "os", "environment": "env"}
# Kept free for the language to grow; a name that holds one of them can be quoted.
_RESERVED_WORDS = ("or", "and", "not")
_RESERVED_CHARACTERS = "()|,&!"


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


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. `field` is one of FIELDS or `all`; `key` is the variable's name of `var:name=value`."""

    field: str
    value: str = ""
    exact: bool = False
    negated: bool = False
    key: str = ""

    @property
    def has_wildcard(self) -> bool:
        """Whether `value` is a pattern."""
        return not self.exact and ("*" in self.value or "?" in self.value)

    def matches(self, candidate: Candidate) -> bool:
        """Whether the candidate meets this term, its negation included."""
        return self._found(candidate) != self.negated

    def _found(self, candidate: Candidate) -> bool:
        return self.field == "all" or bool(self.matched(candidate))

    def matched(self, candidate: Candidate) -> tuple[str, ...]:
        """Which of the candidate's values this term names, its negation left aside; none for `all`."""
        return tuple(each for each in self._values(candidate) if each and self._equals(each))

    def _values(self, candidate: Candidate) -> Iterable[str | None]:
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
            case "all":
                return ()
        return _variable_texts(candidate.variables, self.key)

    def _equals(self, text: str) -> bool:
        if self.has_wildcard:
            return _glob(self.value.casefold(), text.casefold())
        return self.value.casefold() == text.casefold()

    def to_text(self) -> str:
        """The term in the language, in one spelling."""
        sign = "-" if self.negated else ""
        if self.field == "all":
            return f"{sign}all"
        key = f"{self.key}=" if self.field == "var" else ""
        return f"{sign}{self.field}:{key}{self._quoted()}"

    def _quoted(self) -> str:
        special = any(each.isspace() or each in '"' + _RESERVED_CHARACTERS for each in self.value)
        wildcard = "*" in self.value or "?" in self.value
        if not special and not (self.exact and wildcard):
            return self.value
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'


@dataclass(frozen=True, slots=True)
class Query:
    """A target query that has been read."""

    terms: tuple[Term, ...]

    def matches(self, candidate: Candidate) -> bool:
        """Whether the candidate meets every term."""
        return all(term.matches(candidate) for term in self.terms)

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
        return " ".join(term.to_text() for term in self.terms)


def parse(text: str) -> Query:
    """Read a target query; QueryError with the column of the first mistake."""
    if len(text) > MAX_QUERY:
        raise QueryError(f"a query has at most {MAX_QUERY} characters", column=MAX_QUERY + 1)
    reader = _Reader(text)
    terms: list[Term] = []
    while reader.skip_space():
        if len(terms) == MAX_TERMS:
            raise QueryError(f"a query has at most {MAX_TERMS} terms", column=reader.column)
        terms.append(reader.term())
    if not terms:
        raise QueryError("the query is empty; write all to mean every target")
    if all(term.negated for term in terms):
        raise QueryError("there are only exclusions; write all in front to mean every other target")
    return Query(tuple(terms))


class _Reader:
    """One pass over the text; every method starts at `at` and leaves it behind what it has read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    @property
    def column(self) -> int:
        return self.at + 1

    @property
    def here(self) -> str:
        return self.text[self.at : self.at + 1]

    def skip_space(self) -> bool:
        while self.here.isspace():
            self.at += 1
        return self.at < len(self.text)

    def term(self) -> Term:
        negated = self.here == "-"
        self.at += negated
        start = self.column
        if self.here == '"':
            name = self.quoted()
            return Term("name", name, exact=_needs_exact(name), negated=negated)
        word = self.bare(stop=":")
        if self.here != ":":
            return self.bare_word(word, start, negated=negated)
        field = self.field(word, start)
        self.at += 1
        key = self.key() if field == "var" else ""
        value_start = self.column
        exact = self.here == '"'
        value = self.quoted() if exact else self.bare()
        if not value:
            raise QueryError(f"{field}: needs a value", column=value_start)
        term = Term(field, value, exact=exact and _needs_exact(value), negated=negated, key=key)
        if field == "os" and not term.has_wildcard and value.lower() not in PLATFORMS:
            raise QueryError(f"no platform {value!r}{did_you_mean(value, PLATFORMS)}", column=value_start)
        return term

    def bare_word(self, word: str, start: int, *, negated: bool) -> Term:
        if not word:
            raise QueryError("a word is missing here", column=start)
        if word.lower() in _RESERVED_WORDS:
            message = f"{word!r} is not part of the language; terms must all hold, and - negates one"
            raise QueryError(message, column=start)
        if word.lower() == "all":
            return Term("all", negated=negated)
        return Term("name", word, negated=negated)

    def field(self, word: str, start: int) -> str:
        lower = _SYNONYMS.get(word.lower(), word.lower())
        if lower in FIELDS:
            return lower
        near = nearest(word, (*FIELDS, *_SYNONYMS))
        hint = f"did you mean {near}:?" if near else f"fields are {', '.join(FIELDS)}"
        raise QueryError(f"no field {word!r}; {hint}", column=start)

    def key(self) -> str:
        start = self.column
        key = self.bare(stop="=")
        if self.here != "=":
            raise QueryError("a variable is written var:name=value", column=start)
        if not well_formed(key):
            raise QueryError(f"{key!r} is not the name of a variable", column=start)
        self.at += 1
        return key

    def bare(self, stop: str = "") -> str:
        start = self.at
        while self.here and not self.here.isspace() and self.here not in (stop or " "):
            if self.here == '"':
                raise QueryError("a quote must stand at the beginning of a value", column=self.column)
            if self.here in _RESERVED_CHARACTERS:
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
        if self.here and not self.here.isspace():
            raise QueryError("a space is missing after the quote", column=self.column)
        if not characters:
            raise QueryError("the quotes are empty", column=start)
        return "".join(characters)


def _needs_exact(value: str) -> bool:
    # Only where quotes change the meaning, so that equal queries compare equal.
    return "*" in value or "?" in value


def _variable_texts(variables: Mapping[str, object], key: str) -> Iterable[str]:
    value = variables.get(key)
    match value:
        case None:
            return ()
        case bool():
            return ("true" if value else "false",)
        case list() | tuple():
            return tuple(str(each) for each in value)
    return (str(value),)


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
