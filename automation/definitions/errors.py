"""The errors of the workflow language. Messages quote definitions, never the values of parameters."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import ClassVar, TypedDict

# How much of a query is shown on either side of a mistake, in characters.
CARET_REACH = 60


class Finding(TypedDict):
    """One thing wrong in a definition: `line` counts from 1 and is None where the source has no lines."""

    line: int | None
    path: str
    message: str


class ParameterFinding(TypedDict):
    """One thing wrong with the parameters of a run; `path` is like `parameters.package`."""

    path: str
    message: str


class LanguageError(Exception):
    """Base of the errors of the workflow language; `code` is stable."""

    code: ClassVar[str] = "language.invalid"


class DefinitionError(LanguageError):
    """A workflow definition that cannot be used; `errors` has everything found wrong, in order of line."""

    code = "definition.invalid"

    def __init__(self, errors: Iterable[Finding], *, origin: str = "workflow") -> None:
        self.errors: list[Finding] = sorted(errors, key=lambda finding: finding["line"] or 0)
        self.origin = origin
        super().__init__("\n".join(self._sentence(finding) for finding in self.errors))

    def _sentence(self, finding: Finding) -> str:
        where = self.origin if finding["line"] is None else f"{self.origin}, line {finding['line']}"
        path = f"{finding['path']}: " if finding["path"] else ""
        return f"{where}: {path}{finding['message']}"


class ParameterError(LanguageError):
    """Parameters or variables that cannot be handed over; `errors` has all of them."""

    code = "parameters.invalid"

    def __init__(self, errors: Sequence[ParameterFinding]) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(f"{each['path']}: {each['message']}" for each in self.errors))


class QueryError(LanguageError):
    """A target query that cannot be read; `column` counts from 1, `text` is the query where it is known."""

    code = "query.invalid"

    def __init__(self, message: str, *, column: int = 1, text: str = "") -> None:
        self.message = message
        self.column = column
        self.text = text
        super().__init__(f"column {column}: {message}")

    def within(self, text: str) -> "QueryError":
        """The same error, of this query."""
        return QueryError(self.message, column=self.column, text=text)

    @property
    def sentence(self) -> str:
        """The error for people to read beside the query."""
        return f"Column {self.column}: {self.message}."

    @property
    def caret(self) -> str:
        """Two lines: the query (the part of it around a mistake far inside), and a caret under the column."""
        start = max(0, self.column - 1 - CARET_REACH)
        shown = "".join(
            " " if each.isspace() else each for each in self.text[start : start + 2 * CARET_REACH]
        )
        dots = "…" if start else ""
        return f"{dots}{shown}\n{' ' * (len(dots) + self.column - 1 - start)}^"


class ConditionError(LanguageError):
    """A condition that cannot be compiled, or that gave no boolean for this target."""

    code = "condition.invalid"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` was probably meant to be, or None; case is ignored."""
    by_lower = {each.lower(): each for each in known}
    matches = get_close_matches(word.lower()[:100], list(by_lower), n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The tail of an error message about an unknown word: the nearest known one, else what is known."""
    words = list(known)
    near = nearest(word, words)
    if near is not None:
        return f"; did you mean {near!r}?"
    return f"; known here: {', '.join(words)}" if words else ""
