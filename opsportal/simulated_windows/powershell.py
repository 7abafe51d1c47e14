"""Plays the small part of PowerShell that `powershell_text` reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from opsportal.simulated_windows.cmdlet import Failed, Run
from opsportal.simulated_windows.cmdlets import ALIASES, CMDLETS
from opsportal.simulated_windows.command_line import NotEmulated
from opsportal.simulated_windows.console import Console
from opsportal.simulated_windows.machine import Machine
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
from opsportal.simulated_windows.powershell_operators import call, is_true, operate
from opsportal.simulated_windows.powershell_text import parse
from opsportal.simulated_windows.things import Thing, lines_of, text_of

NOT_EMULATED = "The simulated Windows target does not emulate: {}"
CATEGORY = "    + CategoryInfo          : {}"
ERROR_ID = "    + FullyQualifiedErrorId : {}"


class Ended(Exception):
    """The script is over, with this exit code."""

    def __init__(self, code: int, *, by_exit: bool = False) -> None:
        super().__init__(str(code))
        self.code = code
        self.by_exit = by_exit


@dataclass(frozen=True)
class Outcome:
    """The end of a script. `by_exit`: by `exit`, not by its last statement or an error."""

    code: int
    by_exit: bool = False


def interpret(console: Console, machine: Machine) -> Outcome:
    """The code is that of `exit`, 1 after an error that ends the script or in its last statement, else 0."""
    try:
        statements = parse(console.script)
        _check(statements)
    except NotEmulated as error:
        console.error(NOT_EMULATED.format(error))
        return Outcome(1)
    player = Player(console, machine)
    try:
        for statement in statements:
            player.statement(statement)
    except Ended as ended:
        return Outcome(ended.code, ended.by_exit)
    except NotEmulated as error:
        console.error(NOT_EMULATED.format(error))
        return Outcome(1)
    return Outcome(0 if player.good else 1)


def _check(statements: Sequence[Statement]) -> None:
    """Raises NotEmulated for a command or parameter that is not played, before anything has happened."""
    waiting: list[Any] = list(statements)
    while waiting:
        match waiting.pop():
            case Invocation() as asked:
                cmdlet = CMDLETS.get(ALIASES.get(asked.name.lower(), asked.name.lower()))
                if cmdlet is None:
                    raise NotEmulated(asked.text)
                cmdlet.bind([(item.name if isinstance(item, Flag) else "", "") for item in asked.arguments])
                waiting += asked.arguments
            case Statement(body=body, branches=branches):
                waiting += [body, *(part for branch in branches for part in (branch[0], *branch[1]))]
            case Pipeline(items) | Many(items) | Text(items) | Block(items):
                waiting += items
            case Operation(_, left, right):
                waiting += [left, right]
            case Call(of, _, arguments):
                waiting += [of, *arguments]
            case Member(of):
                waiting.append(of)


class Player:
    """Runs one script."""

    def __init__(self, console: Console, machine: Machine) -> None:
        self.console = console
        self.machine = machine
        self.good = True
        self.variables: dict[str, Any] = {
            "true": True,
            "false": False,
            "null": None,
            "erroractionpreference": "Stop" if console.stop_on_errors else "Continue",
            "warningpreference": "Continue",
            "verbosepreference": "SilentlyContinue",
            "informationpreference": "SilentlyContinue",
            "pwd": console.command.place.directory or r"C:\Users\simulated",
        }
        self.variables |= {name.lower(): value for name, value in console.parameters.items()}

    def statement(self, statement: Statement, hand_on: Callable[[list[Any]], None] | None = None) -> None:
        """Do it; what it yields is printed, or handed on where it stands in a block."""
        self.console.command.check()
        body = statement.body
        try:
            if statement.kind == "if":
                self._if(statement, hand_on or self._print)
            elif statement.kind in ("run", "return"):
                (hand_on or self._print)(self.pipeline(body) if body is not None else [])
            elif statement.kind == "assign" and body is not None:
                found = self.pipeline(body)
                self.variables[statement.name] = found[0] if len(found) == 1 else found or None
            if statement.kind != "if":
                self.good = statement.kind != "throw"
        except Failed as failed:
            self._failed(failed)
        if statement.kind == "throw":
            said = text_of(self._one(body)) if body is not None else "ScriptHalted"
            self.report(said, category="OperationStopped: (:String) [], RuntimeException", error_id=said)
            raise Ended(1)
        if statement.kind == "exit":
            code = self._one(body) if body is not None else 0
            raise Ended(int(code) if str(code).lstrip("-").isdecimal() else 0, by_exit=True)
        if statement.kind == "return":
            raise Ended(0)

    def _print(self, values: list[Any]) -> None:
        for line in lines_of(values):
            self.console.out(line)

    def _if(self, statement: Statement, hand_on: Callable[[list[Any]], None]) -> None:
        for condition, statements in statement.branches:
            if condition is None or is_true(self._condition(condition)):
                for each in statements:
                    self.statement(each, hand_on)
                return

    def _condition(self, condition: Pipeline) -> Any:
        try:
            found = self.pipeline(condition)
        except Failed as failed:
            self._failed(failed)
            return None
        return found[0] if len(found) == 1 else found

    def _block(self, statements: tuple[Statement, ...]) -> Callable[[Any], list[Any]]:
        def play(item: Any) -> list[Any]:
            before, found = self.variables.get("_"), list[Any]()
            self.variables["_"] = item
            try:
                for statement in statements:
                    self.statement(statement, found.extend)
            finally:
                self.variables["_"] = before
            return found

        return play

    def _failed(self, failed: Failed) -> None:
        self.good = False
        action = failed.action or self.variables["erroractionpreference"]
        if str(action).lower() not in ("silentlycontinue", "ignore"):
            self.report(str(failed), category=failed.category, error_id=failed.error_id)
        if str(action).lower() == "stop":
            raise Ended(1)

    def report(self, said: str, *, category: str, error_id: str) -> None:
        """One error, laid out as PowerShell does."""
        self.console.error("\n".join([said, CATEGORY.format(category), ERROR_ID.format(error_id), " "]))

    def _one(self, body: Pipeline) -> Any:
        found = self.pipeline(body)
        return found[0] if found else None

    def pipeline(self, pipeline: Pipeline) -> list[Any]:
        passed: list[Any] = []
        for element in pipeline.elements:
            passed = (
                self._invoke(element, passed)
                if isinstance(element, Invocation)
                else self._unrolled(self.value(element))
            )
        return passed

    def _unrolled(self, value: Any) -> list[Any]:
        if value is None:
            return []
        return list(value) if isinstance(value, list) else [value]

    def _invoke(self, asked: Invocation, passed: list[Any]) -> list[Any]:
        name = asked.name.lower()
        cmdlet = CMDLETS[ALIASES.get(name, name)]
        given = [
            (argument.name, True) if isinstance(argument, Flag) else ("", self.value(argument))
            for argument in asked.arguments
        ]
        named = cmdlet.bind(given)
        run = Run(self.console, self.machine, self.variables, asked.text)
        try:
            return cmdlet.play(run, named, passed)
        except Failed as failed:
            failed.action = failed.action or str(named.get("ErrorAction", ""))
            raise

    def value(self, expression: Expression | None) -> Any:  # noqa: C901  (a case for each kind)
        match expression:
            case Literal(value):
                return value
            case Variable(name) if name.startswith("env:"):
                return self._environment(name.removeprefix("env:"))
            case Variable(name):
                return self.variables.get(name)
            case Text(parts):
                return "".join(text_of(self.value(part)) for part in parts)
            case Many(items):
                return [self.value(item) for item in items]
            case Member(of, name):
                return member(self.value(of), name)
            case Call(of, name, arguments):
                return call(self.value(of), name, [self.value(each) for each in arguments])
            case Operation():
                return self._operated(expression)
            case Block(statements):
                return self._block(statements)
            case Pipeline():
                found = self.pipeline(expression)
                return found[0] if len(found) == 1 else found or None
        raise NotEmulated(str(expression))

    def _operated(self, operation: Operation) -> Any:
        right = operation.right
        match operation.operator:
            case "not":
                return not is_true(self.value(right))
            case "and":
                return is_true(self.value(operation.left)) and is_true(self.value(right))
            case "or":
                return is_true(self.value(operation.left)) or is_true(self.value(right))
        return operate(operation.operator, self.value(operation.left), self.value(right))

    def _environment(self, name: str) -> str | None:
        known = {key.lower(): value for key, value in self.console.environment.items()}
        known.setdefault("computername", self.machine.name)
        return known.get(name)


def member(value: Any, name: str) -> Any:
    """`.Name` of a value as PowerShell finds it: in any case, of each item of a list, else nothing."""
    if isinstance(value, list):
        return len(value) if name.lower() in ("count", "length") else [member(item, name) for item in value]
    if isinstance(value, str) and name.lower() == "length":
        return len(value)
    fields = value.fields if isinstance(value, Thing) else value if isinstance(value, dict) else {}
    return next((found for key, found in fields.items() if key.lower() == name.lower()), None)
