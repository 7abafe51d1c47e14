"""What an emulated cmdlet is, and what it has at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from opsportal.simulated_windows.command_line import NotEmulated
from opsportal.simulated_windows.console import Console
from opsportal.simulated_windows.machine import Machine
from opsportal.simulated_windows.things import text_of

COMMON = ("ErrorAction", "WarningAction", "InformationAction", "ErrorVariable")


class Failed(Exception):
    """An error that does not end the script, unless its error action is Stop."""

    def __init__(self, said: str, *, category: str, error_id: str) -> None:
        super().__init__(said)
        self.category = category
        self.error_id = error_id
        self.action = ""


@dataclass(frozen=True)
class Run:
    """What a cmdlet has at hand. `text` is how it was called."""

    console: Console
    machine: Machine
    variables: dict[str, Any]
    text: str


Named = dict[str, Any]
Playing = Callable[[Run, Named, list[Any]], list[Any]]


@dataclass(frozen=True)
class Cmdlet:
    """`values` are the parameters that take one, in the order in which they may come without a name."""

    play: Playing
    values: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    rest: bool = False
    """All arguments without a name belong to the first parameter."""

    def bind(self, given: Sequence[tuple[str, Any]]) -> Named:
        """Arguments by their parameters. Raises NotEmulated."""
        named: Named = {}
        free: list[Any] = []
        waiting = ""
        for flag, value in given:
            if flag:
                name = self._named(flag)
                waiting = "" if name in self.switches else name
                named[name] = True
            elif waiting:
                named[waiting], waiting = value, ""
            else:
                free.append(value)
        places = [name for name in self.values if name not in named]
        if self.rest and free:
            named[places[0]] = free[0] if len(free) == 1 else free
        elif len(free) > len(places):
            raise NotEmulated(f"the argument {text_of(free[-1])}")
        else:
            named |= dict(zip(places, free, strict=False))
        return named

    def _named(self, flag: str) -> str:
        known = (*self.values, *self.switches, "Verbose", "Debug", *COMMON)
        for name in known:
            if name.lower() == flag.lower():
                return name
        for name in known:
            if name.lower().startswith(flag.lower()):
                return name
        raise NotEmulated(f"the parameter -{flag}")
