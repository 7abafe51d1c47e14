"""What the simulated target reads of PowerShell, as a tree."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Literal:
    value: str | int | float


@dataclass(frozen=True)
class Variable:
    """`$name` or `$env:NAME`."""

    name: str


@dataclass(frozen=True)
class Text:
    """A string in double quotes: its parts are joined."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class Member:
    of: Expression
    name: str


@dataclass(frozen=True)
class Many:
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Flag:
    """`-Name` of a command."""

    name: str


@dataclass(frozen=True)
class Invocation:
    """A command with its arguments; `text` as it was written."""

    name: str
    arguments: tuple[Expression | Flag, ...]
    text: str


@dataclass(frozen=True)
class Pipeline:
    elements: tuple[Expression | Invocation, ...]


@dataclass(frozen=True)
class Call:
    """`.Name(arguments)` of a value."""

    of: Expression
    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Operation:
    """`left -operator right`; of one with a single operand, `not`, the right one."""

    operator: str
    left: Expression | None
    right: Expression


@dataclass(frozen=True)
class Block:
    """`{ statements }` as a value: what a command does with each thing it is passed."""

    statements: tuple[Statement, ...]


Expression = Literal | Variable | Text | Member | Many | Pipeline | Call | Operation | Block


@dataclass(frozen=True)
class Statement:
    """`kind` is `run`, `assign` (to `name`), `if`, `exit`, `throw` or `return`.

    An `if` has branches: a condition each, None for `else`, and what is done then.
    """

    kind: str
    body: Pipeline | None
    name: str = ""
    branches: tuple[tuple[Pipeline | None, tuple[Statement, ...]], ...] = ()
