"""What the guard answers: records that carry the nonce, in between the raw output of the script.

A record is one line: byte 036, the nonce, a word, its fields. Bytes before the first BEGIN of a stream are
noise (start-up files, banners) and count for nothing; between BEGIN and the last records they are the
script's, to the byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_LONGEST_RECORD = 64 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """One answer of the guard: its word and its fields."""

    word: str
    fields: tuple[str, ...]


class FrameReader:
    """Cuts one stream into records and the bytes between; holds back no more than a mark's beginning."""

    def __init__(self, nonce: str, *, longest: int = _LONGEST_RECORD) -> None:
        self._mark = b"\x1e" + nonce.encode() + b" "
        self._longest = longest
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[bytes | Record]:
        """Everything that is known after `data`, in order. Raises `ValueError` for a broken record."""
        self._buffer += data
        while self._buffer:
            at = self._buffer.find(self._mark)
            if at < 0:
                plain = len(self._buffer) - self._held_back()
                if plain:
                    yield self._take(plain)
                return
            if at > 0:
                yield self._take(at)
            end = self._buffer.find(b"\n")
            if end < 0:
                if len(self._buffer) > self._longest:
                    raise ValueError("A record of the guard has no end.")
                return
            line = self._take(end + 1)[len(self._mark) : -1]
            word, *fields = line.decode("ascii", "replace").split()
            yield Record(word, tuple(fields))

    def _take(self, length: int) -> bytes:
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        return taken

    def _held_back(self) -> int:
        """How many of the last bytes may be the beginning of a mark."""
        start = self._buffer.rfind(b"\x1e", -len(self._mark))
        if start < 0 or not self._mark.startswith(self._buffer[start:]):
            return 0
        return len(self._buffer) - start
