"""Reads the small part of PowerShell that the simulated target plays.

Statements, one a line or parted by `;`: `$name = pipeline`, `if`, `exit N`, `throw text`, `return`, and
pipelines of commands and values. Values: numbers (`1GB` too), strings in either quotes (with `$name`,
`${name}`, `$env:NAME` and `$(...)` in double ones), `$name`, `$env:NAME`, `(pipeline)`, `.Property`, a few
methods, comparisons, `-and`, `-or`, `-not`, arithmetic, `-f`, and `{ blocks }` for commands that take one.
All else is NotEmulated, and that before anything of the script has run.
"""

from __future__ import annotations

import re

from opsportal.simulated_windows.command_line import NotEmulated
from opsportal.simulated_windows.powershell_nodes import (
    Block,
    Call,
    Expression,
    Flag,
    Invocation,
    Literal,
    Many,
    Member,
    Operation,
    Pipeline,
    Statement,
    Text,
    Variable,
)

_NAME = re.compile(r"\$(?:\{(\w+)\}|(env:\w+|\w+))", re.IGNORECASE)
_MEMBER = re.compile(r"\.([A-Za-z]\w*)")
_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)([KMG]B)?(?![\w.>])", re.IGNORECASE)
_SIZES = {"": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}
_OPERATORS = (
    ("and", "or"),
    (
        "eq",
        "ne",
        "gt",
        "ge",
        "lt",
        "le",
        "contains",
        "notcontains",
        "like",
        "notlike",
        "match",
        "notmatch",
        "in",
    ),
    ("+", "-"),
    ("*", "/"),
    ("f",),
)
"""From the loosest to the tightest."""
_WORD_OPERATOR = re.compile(r"-([A-Za-z]+)(?![\w-])")
_REDIRECTION = re.compile(r"\s*2>&1")
METHODS = ("tostring", "touniversaltime", "trim", "tolower", "toupper")
_FLAG = re.compile(r"-([A-Za-z]\w*):?")
_WORD = re.compile(r"[^\s;|(){}'\"$,]+")
_PARAM = re.compile(r"\s*(?:\[CmdletBinding\(\)\]\s*)?param\s*\(", re.IGNORECASE)
_KEYWORD = re.compile(
    r"(else|elseif|foreach|for|while|do|switch|try|catch|finally|function|class|trap|using|begin|process|end)"
    r"(?![\w-])",
    re.IGNORECASE,
)
_IF = re.compile(r"if\s*(?=\()", re.IGNORECASE)
_ELSE = re.compile(r"\s*(else)(if)?\s*(?=[({])", re.IGNORECASE)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "a": "\a", "b": "\b"}


def parse(script: str) -> list[Statement]:
    """Raises NotEmulated."""
    return Reader(_without_comments(script.lstrip("\ufeff"))).statements()


def _without_comments(script: str) -> str:
    quoted = re.compile(r"""('(?:[^']|'')*'|"(?:[^"`]|`.|"")*")|(<#.*?#>|(?<![\w`])#[^\n]*)""", re.DOTALL)
    return quoted.sub(lambda found: found.group(1) or "", script)


class Reader:
    """Walks over one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        found = _PARAM.match(text)
        if found is not None:
            self._skip_param(found.end())

    def _skip_param(self, start: int) -> None:
        """Parameters get their values from outside; defaults are not played."""
        depth, at = 1, start
        while at < len(self.text) and depth:
            depth += {"(": 1, ")": -1}.get(self.text[at], 0)
            at += 1
        if depth or "=" in self.text[start:at]:
            raise NotEmulated("a param block with default values")
        self.at = at

    def statements(self, closing: str = "") -> list[Statement]:
        found: list[Statement] = []
        while True:
            self._skip(" \t\r\n;")
            if self.at >= len(self.text) or (closing and self.text[self.at] == closing):
                return found
            found.append(self._statement())

    def _skip(self, characters: str = " \t") -> None:
        while self.at < len(self.text):
            if self.text.startswith(("`\n", "`\r\n"), self.at):
                self.at = self.text.index("\n", self.at) + 1
            elif self.text[self.at] in characters:
                self.at += 1
            else:
                return

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
        return found

    def _ended(self) -> bool:
        self._skip()
        return self.at >= len(self.text) or self.text[self.at] in ";\r\n|)}"

    def _rest(self) -> str:
        return self.text[self.at :].split("\n", 1)[0].strip()[:80]

    def _statement(self) -> Statement:
        if _KEYWORD.match(self.text, self.at):
            raise NotEmulated(self._rest())
        if self._match(_IF) is not None:
            return self._if()
        assigned = self._match(re.compile(r"\$(\w+)\s*=(?!=)\s*"))
        if assigned is not None:
            return Statement("assign", self._pipeline(), assigned.group(1).lower())
        word = self._match(re.compile(r"(exit|throw|return)(?![\w-])", re.IGNORECASE))
        if word is not None:
            return Statement(word.group(1).lower(), None if self._ended() else self._pipeline())
        return Statement("run", self._pipeline())

    def _if(self) -> Statement:
        branches: list[tuple[Pipeline | None, tuple[Statement, ...]]] = [(self._group(), self._block())]
        while branches[-1][0] is not None and (other := self._match(_ELSE)) is not None:
            branches.append((self._group() if other.group(2) else None, self._block()))
        return Statement("if", None, branches=tuple(branches))

    def _block(self) -> tuple[Statement, ...]:
        self._skip(" \t\r\n")
        if self.text[self.at : self.at + 1] != "{":
            raise NotEmulated(self._rest())
        self.at += 1
        found = self.statements("}")
        if self.at >= len(self.text):
            raise NotEmulated("a block without its end")
        self.at += 1
        return tuple(found)

    def _pipeline(self) -> Pipeline:
        elements = [self._element()]
        while not self._ended() or self.text[self.at : self.at + 1] == "|":
            if self.text[self.at] != "|":
                raise NotEmulated(self._rest())
            self.at += 1
            self._skip(" \t\r\n")
            elements.append(self._element())
        return Pipeline(tuple(elements))

    def _element(self) -> Expression | Invocation:
        self._skip()
        if self.text.startswith("& ", self.at):
            raise NotEmulated(self._rest())
        if (
            self.text[self.at : self.at + 1] in "$'\"(!"
            or _NUMBER.match(self.text, self.at)
            or self._negates()
        ):
            return self._operation()
        start, word = self.at, self._match(_WORD)
        if word is None:
            raise NotEmulated(self._rest())
        arguments: list[Expression | Flag] = []
        while not self._ended():
            if self._match(_REDIRECTION) is None:
                arguments.append(self._argument())
        return Invocation(word.group(), tuple(arguments), self.text[start : self.at].strip())

    def _negates(self) -> bool:
        found = _WORD_OPERATOR.match(self.text, self.at)
        return found is not None and found.group(1).lower() == "not"

    def _operation(self, level: int = 0) -> Expression:
        if level == len(_OPERATORS):
            return self._operand()
        left = self._operation(level + 1)
        while (operator := self._operator(_OPERATORS[level])) is not None:
            self._skip(" \t\r\n")
            left = Operation(operator, left, self._operation(level + 1))
        return left

    def _operator(self, known: tuple[str, ...]) -> str | None:
        self._skip()
        word = _WORD_OPERATOR.match(self.text, self.at)
        if word is not None:
            name = word.group(1).lower().removeprefix("i")
            if name in known or (name == "n" and "in" in known):
                self.at = word.end()
                return name if name != "n" else "in"
            return None
        sign = self.text[self.at : self.at + 1]
        if sign and sign in known and self.text[self.at + 1 : self.at + 2].isspace():
            self.at += 1
            return sign
        return None

    def _operand(self) -> Expression:
        self._skip()
        if self.text[self.at : self.at + 1] == "!":
            self.at += 1
            return Operation("not", None, self._operand())
        if self._negates():
            self._match(_WORD_OPERATOR)
            return Operation("not", None, self._operand())
        return self._values()

    def _argument(self) -> Expression | Flag:
        if self.text[self.at : self.at + 1] == "{":
            return Block(self._block())
        flag = self._match(_FLAG)
        return Flag(flag.group(1)) if flag is not None else self._values(bare=True)

    def _values(self, *, bare: bool = False) -> Expression:
        items = [self._value(bare=bare)]
        self._skip()
        while self.text[self.at : self.at + 1] == ",":
            self.at += 1
            self._skip(" \t\r\n")
            items.append(self._value(bare=bare))
            self._skip()
        return items[0] if len(items) == 1 else Many(tuple(items))

    def _value(self, *, bare: bool) -> Expression:
        value = self._plain(bare=bare)
        while (member := self._match(_MEMBER)) is not None:
            if self.text[self.at : self.at + 1] == "(":
                value = self._call(value, member.group(1))
            else:
                value = Member(value, member.group(1))
        return value

    def _call(self, value: Expression, name: str) -> Call:
        if name.lower() not in METHODS:
            raise NotEmulated(f"the method {name}")
        if self.text.startswith("()", self.at):
            self.at += 2
            return Call(value, name.lower(), ())
        return Call(value, name.lower(), (self._group(),))

    def _plain(self, *, bare: bool) -> Expression:
        first = self.text[self.at : self.at + 1]
        if first == "'":
            return Literal(self._single())
        if first == '"':
            return self._double()
        if first == "(":
            return self._group()
        name = self._match(_NAME)
        if name is not None:
            return Variable((name.group(1) or name.group(2)).lower())
        number = self._match(_NUMBER)
        if number is not None:
            size = _SIZES[(number.group(2) or "").upper()]
            plain = number.group(1)
            return Literal((float(plain) if "." in plain else int(plain)) * size)
        word = self._match(_WORD) if bare else None
        if word is None:
            raise NotEmulated(self._rest())
        return Literal(word.group())

    def _group(self) -> Pipeline:
        self.at += 1
        self._skip(" \t\r\n")
        inner = self._pipeline()
        self._skip(" \t\r\n")
        if self.text[self.at : self.at + 1] != ")":
            raise NotEmulated(self._rest())
        self.at += 1
        return inner

    def _single(self) -> str:
        found = self._match(re.compile(r"'((?:[^']|'')*)'"))
        if found is None:
            raise NotEmulated("a string without its end")
        return found.group(1).replace("''", "'")

    def _double(self) -> Text:
        self.at += 1
        parts: list[Expression] = []
        plain = ""
        while self.text[self.at : self.at + 1] != '"' or self.text.startswith('""', self.at):
            if self.at >= len(self.text):
                raise NotEmulated("a string without its end")
            inside = self._inside()
            if isinstance(inside, str):
                plain += inside
            else:
                parts += [Literal(plain), inside]
                plain = ""
        self.at += 1
        return Text((*parts, Literal(plain)))

    def _inside(self) -> str | Expression:
        """The next character of a string in double quotes, or what stands for more."""
        if self.text.startswith("$(", self.at):
            self.at += 1
            return self._group()
        name = self._match(_NAME)
        if name is not None:
            return Variable((name.group(1) or name.group(2)).lower())
        pair = self.text[self.at : self.at + 2]
        if pair == '""':
            self.at += 2
            return '"'
        if pair.startswith("`") and len(pair) == 2:
            self.at += 2
            return _ESCAPES.get(pair[1], pair[1])
        self.at += 1
        return pair[0]
