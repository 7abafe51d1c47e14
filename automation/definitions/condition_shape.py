"""What can be known of a condition without evaluating it: what it names, and how much work it can be."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import cel

from automation.definitions.errors import ConditionError
from automation.definitions.patterns import check_pattern

MAX_COMPREHENSIONS = 6
MAX_NESTED = 2
MAX_ADDITIONS = 10
MAX_MATCHES = 5
MAX_REPETITIONS = 100
ROOTS = ("steps", "parameters", "variables", "target")

_COMPREHENSIONS = frozenset({"all", "exists", "exists_one", "existsOne", "filter"})
_GROWING = frozenset({"map", "transformList", "transformMap", "transformMapEntry"})

# Strings exactly as the grammar of CEL has them (a raw one ends at the next quote, also after a backslash):
# whoever could make us see a longer string than the engine could hide work in it.
_TOKEN = re.compile(
    r"""(?P<string>
         [bB]?[rR](?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n\r]*"|'[^'\n\r]*')
        |[bB]?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n\r])*"|'(?:\\.|[^'\\\n\r])*')
        )
    |(?P<comment>//[^\n]*)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>[0-9][0-9A-Za-z]*(?:\.[0-9][0-9A-Za-z]*)?)
    |(?P<space>\s+)
    |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)

Token = tuple[str, str]


def tokens_of(text: str) -> list[Token]:
    """Kind (string, word, number, sign) and text of every token."""
    return [
        (str(match.lastgroup), match.group())
        for match in _TOKEN.finditer(text)
        if match.lastgroup not in ("space", "comment")
    ]


@dataclass(frozen=True, slots=True)
class Shape:
    """How the work of a condition grows with what it looks at."""

    bound: frozenset[str]
    nested: int
    additions: int
    literal_items: int
    matches_in_loop: bool

    def work(self, *, items: int, characters: int) -> int:
        """Rough number of small operations for lists of `items` and texts of `characters` at most."""
        grown = self.additions + 1
        rounds = (max(items, self.literal_items) * grown) ** self.nested
        each = 1 + characters * grown // 1000
        return int(rounds * each * (100 if self.matches_in_loop else 1))


def shape_of(tokens: list[Token]) -> Shape:
    """The shape of a condition the engine has compiled; ConditionError when it is beyond a limit."""
    bound: set[str] = set()
    brackets: list[bool] = []
    opened = nested = matches = 0
    matches_in_loop = False
    for index, (kind, text) in enumerate(tokens):
        if kind == "word":
            _refuse_growing(tokens, index)
            if _is_call(tokens, index, "matches"):
                matches += 1
                matches_in_loop = matches_in_loop or any(brackets)
                _check_pattern_of(tokens, index, in_loop=any(brackets))
        elif kind == "sign" and text in "([{":
            loop = index >= 2 and _is_comprehension(tokens, index - 1)
            if loop:
                opened += 1
                bound.add(_bound_name(tokens, index + 1))
            brackets.append(loop)
            nested = max(nested, sum(brackets))
        elif kind == "sign" and text in ")]}" and brackets:
            brackets.pop()
    additions = tokens.count(("sign", "+"))
    _check_limit(nested, MAX_NESTED, "nested comprehensions")
    _check_limit(opened, MAX_COMPREHENSIONS, "comprehensions")
    _check_limit(additions, MAX_ADDITIONS, "additions")
    _check_limit(matches, MAX_MATCHES, "calls of matches")
    return Shape(
        bound=frozenset(bound),
        nested=nested,
        additions=additions,
        literal_items=tokens.count(("sign", ",")) + 1,
        matches_in_loop=matches_in_loop,
    )


def _check_limit(number: int, limit: int, what: str) -> None:
    if number > limit:
        raise ConditionError(f"more than {limit} {what}")


def _sign_at(tokens: list[Token], index: int) -> str:
    return tokens[index][1] if 0 <= index < len(tokens) and tokens[index][0] == "sign" else ""


def _is_call(tokens: list[Token], index: int, *names: str) -> bool:
    return tokens[index][1] in names and _sign_at(tokens, index + 1) == "("


def _is_comprehension(tokens: list[Token], index: int) -> bool:
    return _is_call(tokens, index, *_COMPREHENSIONS) and _sign_at(tokens, index - 1) == "."


def _refuse_growing(tokens: list[Token], index: int) -> None:
    if _is_call(tokens, index, *_GROWING) and _sign_at(tokens, index - 1) == ".":
        name = tokens[index][1]
        raise ConditionError(f"{name} is not available in conditions; use exists, all or filter")


def _bound_name(tokens: list[Token], index: int) -> str:
    name = tokens[index][1]
    if name in ROOTS:
        raise ConditionError(f"{name!r} has its own meaning; bind another name")
    return name


def _check_pattern_of(tokens: list[Token], index: int, *, in_loop: bool) -> None:
    # A pattern that is no literal could come from a target.
    literal = tokens[index + 2] if len(tokens) > index + 3 else ("", "")
    if literal[0] != "string" or _sign_at(tokens, index + 3) != ")":
        raise ConditionError("matches takes one pattern in quotes")
    try:
        check_pattern(str(_literal(literal[1])), repetitions=1 if in_loop else MAX_REPETITIONS)
    except ValueError as error:
        raise ConditionError(f"matches: {error}") from None


def _literal(token: str) -> object:
    return cel.compile(token).execute({})


def _key_after(tokens: list[Token], index: int) -> tuple[str, int] | None:
    """The literal key looked up just behind `index`, as `.key` or `["key"]`, and where it ends."""
    match tokens[index + 1 : index + 4]:
        case [("sign", "."), ("word", word), *rest] if rest[:1] != [("sign", "(")]:
            # `steps.exists(name, …)` is a call, not a step of that name.
            return word, index + 2
        case [("sign", "["), ("string", text), ("sign", "]")]:
            return str(_literal(text)), index + 3
    return None


def _uses(tokens: list[Token], root: str) -> Iterator[tuple[str, int] | None]:
    for index, token in enumerate(tokens):
        if token == ("word", root) and _sign_at(tokens, index - 1) != ".":
            yield _key_after(tokens, index)


def literal_keys(tokens: list[Token], root: str) -> tuple[str, ...]:
    """The keys looked up in `root` by literal name, each once."""
    return tuple(dict.fromkeys(use[0] for use in _uses(tokens, root) if use is not None))


def only_literal(tokens: list[Token], root: str) -> bool:
    """Whether `root` is used for nothing but looking up literal keys."""
    return all(use is not None for use in _uses(tokens, root))


def literal_step_fields(tokens: list[Token]) -> tuple[str, ...]:
    """The fields looked up in steps that are named literally."""
    found = (_key_after(tokens, use[1]) for use in _uses(tokens, "steps") if use is not None)
    return tuple(dict.fromkeys(field[0] for field in found if field is not None))
