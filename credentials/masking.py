"""Known secrets are taken out of output before it is stored. Knows no Django."""

from collections.abc import Iterable, Iterator
from typing import Final

from credentials.encodings import SHORTEST, forms
from credentials.secret import SHOWN, Secret

TOKEN: Final = b"********"
"""Stands for a masked stretch, whatever its length: the length of a secret is not told."""


class Masker:
    """Replaces secrets in one stream of bytes, also where they lie across the borders of chunks.

    Every byte that belongs to an occurrence of a secret, in any of the forms `encodings.forms` lists, is
    masked; occurrences that overlap become one token. The result does not depend on where the stream is cut
    into chunks. Only an end that may be the beginning of a secret is held back, so ordinary output passes at
    once; at most three times the longest form is held.

    A reader that starts anew with a fresh Masker at a consumed offset gets the same bytes from there on.

    Secrets shorter than six characters are not looked for (see `encodings.SHORTEST`), nor are forms not
    listed, such as base64 wrapped into lines. One instance serves one stream and one thread.
    """

    __slots__ = ("_held", "_longest", "_minimal", "_patterns", "_prefixes", "_stems")

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._held = b""
        patterns = {form for secret in secrets for form in forms(secret.reveal())}
        self._patterns = sorted(patterns, key=lambda form: (-len(form), form))
        self._longest = len(self._patterns[0]) if self._patterns else 0
        # Where none of these occurs nothing occurs: a form that contains another need not be looked for.
        self._minimal = [p for p in self._patterns if not any(q in p for q in self._patterns if q != p)]
        self._prefixes = {p[:n] for p in self._patterns for n in range(1, SHORTEST)}
        self._stems = _by_stem(self._patterns)

    def fresh(self) -> "Masker":
        """Another one for the same secrets and a stream of its own, without looking for their forms again."""
        other = Masker(())
        other._patterns, other._longest, other._minimal = self._patterns, self._longest, self._minimal
        other._prefixes, other._stems = self._prefixes, self._stems
        return other

    def __repr__(self) -> str:
        return f"<Masker of {SHOWN}>"

    def __reduce__(self) -> str:
        raise TypeError("A Masker holds secrets and cannot be pickled or copied.")

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """The masked bytes that are now certain, and how many bytes of the stream they stand for.

        The count covers bytes held back by earlier calls; adding up the counts gives the offset at which a
        reader may resume.
        """
        if not self._patterns:
            return data, len(data)
        data = self._held + data
        return self._emit(data, self._start_of_partial(data))

    def flush(self) -> tuple[bytes, int]:
        """What was held back, masked as far as it is whole: call it at the end of the stream."""
        return self._emit(self._held, len(self._held))

    def _emit(self, data: bytes, certain: int) -> tuple[bytes, int]:
        """Mask data up to `certain`, where what comes later begins to matter; hold the rest."""
        out: list[bytes] = []
        done = 0
        for start, end in self._regions(data, certain):
            if end > certain:
                certain = start
                break
            out += (data[done:start], TOKEN)
            done = end
        out.append(data[done:certain])
        self._held = data[certain:]
        return b"".join(out), certain

    def _regions(self, data: bytes, certain: int) -> Iterator[tuple[int, int]]:
        """Stretches to mask, in order, that begin before `certain`; overlapping occurrences are one.

        A chain of overlapping occurrences without end (a password of one letter, repeated) is cut where an
        occurrence begins that reaches further than all before it. The cut depends on content alone, and what
        follows it begins with a whole occurrence: nothing shows, whoever resumes there.
        """
        region: tuple[int, int] | None = None
        for start, end in self._occurrences(data):
            if start >= certain:
                break
            if region is None or start >= region[1]:
                if region is not None:
                    yield region
                region = (start, end)
            elif end > region[1]:
                if start - region[0] >= self._longest:
                    yield (region[0], start)
                    region = (start, end)
                else:
                    region = (region[0], end)
        if region is not None:
            yield region

    def _occurrences(self, data: bytes) -> list[tuple[int, int]]:
        if not any(pattern in data for pattern in self._minimal):
            return []
        found: dict[int, int] = {}
        for pattern in self._patterns:  # longest first: the longest of those that begin together stays
            at = data.find(pattern)
            while at >= 0:
                found.setdefault(at, at + len(pattern))
                at = data.find(pattern, at + 1)
        return sorted(found.items())

    def _start_of_partial(self, data: bytes) -> int:
        """Where the longest end of data begins that is the beginning, and not the whole, of some form."""
        earliest = len(data)
        for length in range(1, min(SHORTEST, len(data) + 1)):
            if data[-length:] in self._prefixes:
                earliest = len(data) - length
        for stem, patterns in self._stems.items():
            at = data.find(stem, max(0, len(data) - len(patterns[0]) + 1))
            while 0 <= at < earliest:
                end = data[at:]
                if any(len(pattern) > len(end) and pattern.startswith(end) for pattern in patterns):
                    earliest = at
                at = data.find(stem, at + 1)
        return earliest


def _by_stem(patterns: list[bytes]) -> dict[bytes, list[bytes]]:
    """The forms longer than a stem, by their first bytes, longest first."""
    stems: dict[bytes, list[bytes]] = {}
    for pattern in patterns:
        if len(pattern) > SHORTEST:
            stems.setdefault(pattern[:SHORTEST], []).append(pattern)
    return stems
