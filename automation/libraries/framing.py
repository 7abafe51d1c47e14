"""Records between the lines: telling what a script wrote from what a login shell, a banner or a lost
connection made of it.

A record is `RS OPSPORTAL <nonce> <kind>[ <value>] LF`. The nonce is random, made for one command, and arrives
there over stdin, so that nothing that ran before can know it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

RECORD_START = b"\x1e"
LONGEST_RECORD = 64
"""Bytes after the nonce in which the end of a record must come."""
NOISE_KEPT = 4096
"""Bytes kept of what came before the beginning, to tell why it never came."""


@dataclass
class Record:
    """`B`: the script begins. `E`: it ended, with its exit code. `Z`: the last record of its stream."""

    kind: str
    value: str


@dataclass
class StreamReader:
    """Splits one stream at its records. Feed it bytes; it hands back the script's own."""

    nonce: bytes
    noise: bytes = b""
    extra: bytearray = field(default_factory=bytearray)
    """What came between the records `E` and `Z`."""
    extra_limit: int = 64 * 1024 + 1
    """One byte more than a caller may use, so that a cut shows."""
    exit_code: int | None = None
    begun: bool = False
    finished: bool = False
    _held: bytes = b""
    _ended: bool = False

    @property
    def _mark(self) -> bytes:
        return RECORD_START + b"OPSPORTAL " + self.nonce + b" "

    def feed(self, data: bytes) -> bytes:
        """The part of `data`, and of what was held back before, that the script wrote."""
        own = b""
        data = self._held + data
        self._held = b""
        mark = self._mark
        while data and not self.finished:
            found = data.find(mark)
            if found < 0:
                clean = _without_partial_mark(data, mark)
                own += self._pass(data[:clean])
                self._held = data[clean:]
                return own
            line_end = data.find(b"\n", found)
            if line_end < 0 and len(data) - found - len(mark) < LONGEST_RECORD:
                own += self._pass(data[:found])
                self._held = data[found:]
                return own
            own += self._pass(data[:found])
            self._take(data[found + len(mark) : line_end if line_end >= 0 else len(data)])
            data = data[line_end + 1 :] if line_end >= 0 else b""
        return own

    def _pass(self, data: bytes) -> bytes:
        if not self.begun:
            self.noise = (self.noise + data)[-NOISE_KEPT:]
            return b""
        if self._ended:
            self.extra += data[: max(0, self.extra_limit - len(self.extra))]
            return b""
        return data

    def _take(self, record: bytes) -> None:
        kind, _, value = record.decode("ascii", "replace").partition(" ")
        if kind == "B":
            self.begun = True
        elif kind == "E" and self.begun and value.isascii() and value.isdigit():
            self._ended = True
            self.exit_code = int(value)
        elif kind == "Z" and self.begun:
            self.finished = True


def _without_partial_mark(data: bytes, mark: bytes) -> int:
    """How much of `data` can be passed on: all but a tail that may be the beginning of a mark."""
    start = data.rfind(RECORD_START, max(0, len(data) - len(mark) + 1))
    if start >= 0 and mark.startswith(data[start:]):
        return start
    return len(data)
