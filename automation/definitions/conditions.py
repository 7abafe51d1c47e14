"""Conditions (`when`): CEL over the earlier steps, parameters, variables and the target.

    has(steps["read version"].outputs.version) && target.environment == "prod"

`steps[name]` has `state`, `outputs` and `exit_code`; `parameters` and `variables` are maps, in which an
optional parameter nobody gave is missing; `target` has `name`, `platform`, `environment`, `zone`, `groups`
and `tags`. A missing key is an error, so use `has(…)`; as CEL has it, `||` and `&&` need only one side to
decide, so an error on the other side is then no error.

The engine has no time limit of its own and holds the interpreter's lock while it runs, therefore work is
bounded before: by the shape of the text when it is loaded (comprehensions, additions, patterns), by the size
of what it looks at when it is evaluated. Without that, four nested comprehensions over 60 items took 2.9 s.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import cel

from automation.definitions.condition_shape import (
    ROOTS,
    Shape,
    Token,
    literal_keys,
    literal_step_fields,
    only_literal,
    shape_of,
    tokens_of,
)
from automation.definitions.errors import ConditionError, did_you_mean

MAX_CONDITION = 1_000
MAX_WORK = 200_000

STEP_FIELDS = ("state", "outputs", "exit_code")
TARGET_FIELDS = ("name", "platform", "environment", "zone", "groups", "tags")
FUNCTIONS = (
    *("size", "contains", "startsWith", "endsWith", "matches", "has"),
    *("string", "int", "double", "uint", "type", "timestamp", "duration"),
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
        if not self.text.replace("\n", "").replace("\t", "").isprintable():
            raise ConditionError("a condition must not contain control characters")
        self._check_names()

    @cached_property
    def _program(self) -> cel.Program:
        try:
            return cel.compile(self.text)
        except ValueError as error:
            raise ConditionError(_syntax_message(str(error))) from None

    @cached_property
    def _tokens(self) -> list[Token]:
        return tokens_of(self.text)

    @cached_property
    def _shape(self) -> Shape:
        return shape_of(self._tokens)

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps named literally (`steps["x"]`, `steps.x`), each once."""
        return literal_keys(self._tokens, "steps")

    @property
    def names_its_steps(self) -> bool:
        """Whether every step that it looks at is named literally."""
        return only_literal(self._tokens, "steps")

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters named literally, each once."""
        return literal_keys(self._tokens, "parameters")

    def _check_names(self) -> None:
        names, functions = self._program.variables(), self._program.functions()
        bound = self._shape.bound
        for name in names:
            if name not in ROOTS and name not in bound:
                raise ConditionError(f"nothing is called {name!r}{did_you_mean(name, ROOTS)}")
        for name in functions:
            if name.isidentifier() and name not in FUNCTIONS:
                raise ConditionError(f"there is no function {name!r}{did_you_mean(name, FUNCTIONS)}")
        for field in literal_keys(self._tokens, "target"):
            if field not in TARGET_FIELDS:
                raise ConditionError(f"a target has no {field!r}{did_you_mean(field, TARGET_FIELDS)}")
        for field in literal_step_fields(self._tokens):
            if field not in STEP_FIELDS:
                raise ConditionError(f"a step has no {field!r}{did_you_mean(field, STEP_FIELDS)}")

    def evaluate(self, context: Mapping[str, object]) -> bool:
        """The answer for one target; `context` maps the ROOTS, what is missing there is empty.

        Raises ConditionError when there is no boolean answer, or when it would take too much work. Messages
        never quote values of the context.
        """
        looked_at = {root: self._looked_at(root, context.get(root)) for root in ROOTS}
        items, characters = _largest(looked_at)
        if self._shape.work(items=items, characters=characters) > MAX_WORK:
            raise ConditionError(f"{self.text}: the texts or lists it looks at are too large")
        try:
            answer = self._program.execute(looked_at)
        except (LookupError, ArithmeticError, TypeError, ValueError, RuntimeError) as error:
            reason = _FAILURES.get(type(error).__name__, "it cannot be evaluated")
            raise ConditionError(f"{self.text}: {reason}") from None
        if not isinstance(answer, bool):
            raise ConditionError(f"{self.text}: must give true or false, not {type(answer).__name__}")
        return answer

    def _looked_at(self, root: str, given: object) -> dict[str, object]:
        """The part of a root that the condition can reach, so that nothing else costs anything."""
        if not isinstance(given, Mapping):
            return {}
        keys = literal_keys(self._tokens, root) if only_literal(self._tokens, root) else tuple(given)
        absent_if_null = root in ("parameters", "variables")
        return {
            key: given[key] for key in keys if key in given and not (absent_if_null and given[key] is None)
        }


def _syntax_message(message: str) -> str:
    place = _PLACE.search(message)
    if place is None:
        return "cannot be read as CEL"
    column, problem = place.groups()
    return f"column {column}: {problem.partition(' expecting ')[0]}"


def _largest(value: object) -> tuple[int, int]:
    """The number of items of the largest container and of characters of the longest text inside `value`."""
    items = characters = 0
    waiting: list[object] = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, str):
            characters = max(characters, len(current))
        elif isinstance(current, Mapping | list | tuple):
            items = max(items, len(current))
            waiting.extend(current.values() if isinstance(current, Mapping) else current)
    return items, characters
