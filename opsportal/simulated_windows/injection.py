"""Faults that a test asks for, at the wire and below."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import Enum


class Break(Enum):
    """What goes wrong with one request."""

    DROP = "drop"
    """The connection ends before the request is looked at."""
    LOSE_REPLY = "lose reply"
    """The request does its work; then the connection ends without an answer."""
    BUSY = "busy"
    """HTTP 503."""
    TRUNCATE = "truncate"
    """The answer's XML stops in the middle, and the connection with it stays."""
    HALF = "half"
    """Half of the answer's bytes, then the connection ends."""
    DELAY = "delay"
    """The answer comes late."""
    HANG = "hang"
    """No answer, and the connection stays open."""
    EXPIRE = "expire"
    """The shell of the request is closed before the request is looked at."""
    WRONG_RELATION = "wrong relation"
    """The answer claims to be one to another message."""
    BAD_SEAL = "bad seal"
    """The answer's encrypted part is broken."""


@dataclass
class Injected:
    """`fault` for the next `times` requests of `verb` (`Receive`, ...; empty: any), after `skip` of them."""

    fault: Break
    verb: str = ""
    times: int = 1
    skip: int = 0
    seconds: float = 0.0
    hit: int = 0


@dataclass
class Injections:
    """What is still to go wrong. The first that fits a request is used up by it."""

    waiting: list[Injected] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, injected: Injected) -> Injected:
        with self._lock:
            self.waiting.append(injected)
        return injected

    def next(self, verb: str) -> Injected | None:
        with self._lock:
            for injected in self.waiting:
                if injected.verb not in ("", verb):
                    continue
                if injected.skip > 0:
                    injected.skip -= 1
                    continue
                injected.hit += 1
                if injected.hit >= injected.times:
                    self.waiting.remove(injected)
                return injected
        return None
