"""Conditions (`when`): CEL over the earlier steps, parameters, variables and the target.

    has(steps["read version"].outputs.version) && target.environment == "prod"

`steps[name]` has `state`, `outputs` and `exit_code`; `parameters` and `variables` are maps; `target` has
`name`, `platform`, `environment`, `zone`, `groups` and `tags`. A missing key is an error, so use `has(…)`; as
CEL has it, `||` and `&&` need only one side to decide, so an error on the other side is then no error.

The engine has no time limit of its own and holds the interpreter's lock while it runs, therefore what can
grow is bounded before: length, nested and total comprehensions, additions, literal patterns only, no `map`.
Measured without these limits, four nested comprehensions over 60 items took 2.9 s.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import cel

from automation.definitions.errors import ConditionError, did_you_mean
from automation.definitions.patterns import MAX_MATCHED, check_pattern

MAX_CONDITION = 1_000
MAX_COMPREHENSIONS = 6
MAX_NESTED = 2
MAX_ADDITIONS = 10
MAX_ITEMS = 1_000
MAX_CONTEXT_TEXT = 256 * 1024

ROOTS = ("steps", "parameters", "variables", "target")
STEP_FIELDS = ("state", "outputs", "exit_code")
TARGET_FIELDS = ("name", "platform", "environment", "zone", "groups", "tags")
FUNCTIONS = (
    *("size", "contains", "startsWith", "endsWith", "matches", "has"),
    *("string", "int", "double", "uint", "type", "timestamp", "duration"),
)
_COMPREHENSIONS = frozenset({"all", "exists", "exists_one", "existsOne", "filter"})
_GROWING = frozenset({"map", "transformList", "transformMap", "transformMapEntry"})

_TOKEN = re.compile(
    r"""(?P<string>[rRbB]{0,2}(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    |(?P<comment>//[^\n]*)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>[0-9][0-9A-Za-z.]*)|(?P<space>\s+)|(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_PLACE = re.compile(r"ERROR: <input>:[0-9]+:([0-9]+): (?:Syntax error: )?([^\n]*)")

_FAILURES = {
    "KeyError": "something is looked up that is not there; use has(…)",
    "TypeError": "the operation is not defined for values of these types",
    "ZeroDivisionError": "division by zero",
    "OverflowError": "a number is too large",
    "IndexError": "a list has no such place",
}


@dataclass(frozen=True)
class Condition:
    """A compiled condition; ConditionError when the text cannot be one."""

    text: str

    def __post_init__(self) -> None:
        if len(self.text) > MAX_CONDITION:
            raise ConditionError(f"a condition has at most {MAX_CONDITION} characters")
        if not self.text.isprintable() and not self.text.replace("\n", "").replace("\t", "").isprintable():
            raise ConditionError("a condition must not contain control characters")
        _check(self._program, self._tokens)

    @cached_property
    def _program(self) -> cel.Program:
        try:
            return cel.compile(self.text)
        except ValueError as error:
            raise ConditionError(_syntax_message(str(error))) from None

    @cached_property
    def _tokens(self) -> list[tuple[str, str]]:
        return list(_tokens(self.text))

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps named literally (`steps["x"]`, `steps.x`), each once."""
        return tuple(dict.fromkeys(_literal_keys(self._tokens, "steps")))

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters named literally, each once."""
        return tuple(dict.fromkeys(_literal_keys(self._tokens, "parameters")))

    def evaluate(self, context: Mapping[str, object]) -> bool:
        """The answer for one target; `context` has the ROOTS. ConditionError when there is no boolean answer.

        Messages never quote values of the context.
        """
        given = {root: context.get(root, {}) for root in ROOTS}
        _check_context(
            given, limit=MAX_MATCHED if "matches" in self._program.functions() else MAX_CONTEXT_TEXT
        )
        try:
            answer = self._program.execute(given)
        except (LookupError, ArithmeticError, TypeError, ValueError, RuntimeError) as error:
            reason = _FAILURES.get(type(error).__name__, "it cannot be evaluated")
            raise ConditionError(f"{self.text}: {reason}") from None
        if not isinstance(answer, bool):
            raise ConditionError(f"{self.text}: must give true or false, not {type(answer).__name__}")
        return answer


def _syntax_message(message: str) -> str:
    place = _PLACE.search(message)
    if place is None:
        return "cannot be read as CEL"
    column, problem = place.groups()
    return f"column {column}: {problem.partition(' expecting ')[0]}"


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(text):
        if match.lastgroup not in ("space", "comment"):
            yield str(match.lastgroup), match.group()


def _check(program: cel.Program, tokens: list[tuple[str, str]]) -> None:
    bound = _check_growth(tokens)
    for name in program.variables():
        if name not in ROOTS and name not in bound:
            raise ConditionError(f"nothing is called {name!r}{did_you_mean(name, ROOTS)}")
    for name in program.functions():
        if name.isidentifier() and name not in FUNCTIONS:
            raise ConditionError(f"there is no function {name!r}{did_you_mean(name, FUNCTIONS)}")
    for field in _literal_keys(tokens, "target"):
        if field not in TARGET_FIELDS:
            raise ConditionError(f"a target has no {field!r}{did_you_mean(field, TARGET_FIELDS)}")
    for field in _step_fields(tokens):
        if field not in STEP_FIELDS:
            raise ConditionError(f"a step has no {field!r}{did_you_mean(field, STEP_FIELDS)}")


def _check_growth(tokens: list[tuple[str, str]]) -> set[str]:
    """Refuse what could take long; give the names that comprehensions bind."""
    bound: set[str] = set()
    open_brackets: list[bool] = []
    total = 0
    for index, (kind, text) in enumerate(tokens):
        called = kind == "word" and _sign_at(tokens, index + 1) == "("
        method = called and _sign_at(tokens, index - 1) == "."
        if method and text in _GROWING:
            raise ConditionError(f"{text} is not available in conditions; use exists, all or filter")
        if called and text == "matches":
            _check_matches(tokens, index)
        if text in ("(", "[", "{"):
            opens = text == "(" and index >= 2 and tokens[index - 1][1] in _COMPREHENSIONS
            opens = opens and _sign_at(tokens, index - 2) == "."
            open_brackets.append(opens)
            if opens:
                total += 1
                bound.add(_bound_name(tokens, index + 1))
        elif text in (")", "]", "}") and open_brackets:
            open_brackets.pop()
        if sum(open_brackets) > MAX_NESTED or total > MAX_COMPREHENSIONS:
            raise ConditionError(f"more than {MAX_NESTED} nested or {MAX_COMPREHENSIONS} comprehensions")
    if sum(text == "+" for kind, text in tokens if kind == "sign") > MAX_ADDITIONS:
        raise ConditionError(f"more than {MAX_ADDITIONS} additions")
    return bound


def _bound_name(tokens: list[tuple[str, str]], index: int) -> str:
    name = tokens[index][1]
    if name in ROOTS:
        raise ConditionError(f"{name!r} has its own meaning; bind another name")
    return name


def _check_matches(tokens: list[tuple[str, str]], index: int) -> None:
    literal = tokens[index + 2] if len(tokens) > index + 3 else ("", "")
    if literal[0] != "string" or _sign_at(tokens, index + 3) != ")":
        raise ConditionError("matches takes one pattern in quotes")
    try:
        check_pattern(str(_literal(literal[1])))
    except ValueError as error:
        raise ConditionError(f"matches: {error}") from None


def _sign_at(tokens: list[tuple[str, str]], index: int) -> str:
    return tokens[index][1] if 0 <= index < len(tokens) and tokens[index][0] == "sign" else ""


def _literal(token: str) -> object:
    return cel.compile(token).execute({})


def _key_after(tokens: list[tuple[str, str]], index: int) -> tuple[str, int] | None:
    """The literal key looked up just behind `index`, as `.key` or `["key"]`, and where it ends."""
    following = tokens[index + 1 : index + 4]
    match following:
        case [("sign", "."), ("word", word), *_]:
            return word, index + 2
        case [("sign", "["), ("string", text), ("sign", "]")]:
            return str(_literal(text)), index + 3
    return None


def _roots(tokens: list[tuple[str, str]], root: str) -> Iterator[int]:
    for index, token in enumerate(tokens):
        if token == ("word", root) and _sign_at(tokens, index - 1) != ".":
            yield index


def _literal_keys(tokens: list[tuple[str, str]], root: str) -> Iterator[str]:
    for index in _roots(tokens, root):
        found = _key_after(tokens, index)
        # `steps.exists(name, …)` is a call, not a step of that name.
        if found is not None and _sign_at(tokens, found[1] + 1) != "(":
            yield found[0]


def _step_fields(tokens: list[tuple[str, str]]) -> Iterator[str]:
    for index in _roots(tokens, "steps"):
        step = _key_after(tokens, index)
        field = (
            _key_after(tokens, step[1]) if step is not None and _sign_at(tokens, step[1] + 1) != "(" else None
        )
        if field is not None:
            yield field[0]


def _check_context(value: object, *, limit: int) -> None:
    waiting: list[object] = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, str) and len(current) > limit:
            raise ConditionError(f"a text of more than {limit} characters cannot be looked at here")
        children: Iterable[object] = ()
        if isinstance(current, Mapping):
            children = current.values()
        elif isinstance(current, list | tuple | set | frozenset):
            children = current
            if len(current) > MAX_ITEMS:
                raise ConditionError(f"a list of more than {MAX_ITEMS} items cannot be looked at here")
        waiting.extend(children)
