"""Output on its way into the database: masked, capped, in chunks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from django.conf import settings

from automation.libraries.types import Stream
from automation.models import Attempt, OutputChunk
from credentials.masking import Masker

CHUNK_BYTES = 64 * 1024
MEBIBYTE = 1024 * 1024
TAIL_BYTES = MEBIBYTE


class StreamStore:
    """One stream of one attempt. Keeps a head as it comes and, beyond it, the newest tail.

    The head is OPSPORTAL_OUTPUT_MEGABYTES long.

    received = stored + dropped, always; what was dropped is the gap between two chunks.
    """

    def __init__(self, attempt: Attempt, stream: Stream, masker: Masker) -> None:
        self._attempt = attempt
        self._stream = stream
        self._masker = masker
        self._head_bytes: int = settings.OPSPORTAL_OUTPUT_MEGABYTES * MEBIBYTE
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self.remote: int = getattr(attempt, f"{stream}_remote")
        self._safe_remote = self.remote
        self._stored: int = getattr(attempt, f"{stream}_stored")
        self._dropped: int = getattr(attempt, f"{stream}_dropped")

    @property
    def reach(self) -> int:
        """How many bytes of the masked stream have come so far."""
        return self._stored + self._dropped + self._pending_bytes + self._tail_bytes

    def feed(self, data: bytes) -> None:
        self._keep(*self._masker.feed(data))

    def flush(self) -> list[OutputChunk]:
        """Chunks to insert now. The tail is held until `close`, for it still moves."""
        # All of the head lies before anything that was dropped, also what was dropped since it came.
        chunks = [self._chunk(piece, self._stored) for piece in _in_chunks(self._pending)]
        self._pending.clear()
        self._pending_bytes = 0
        self._note()
        return chunks

    def close(self, *, cut: bool) -> list[OutputChunk]:
        """The last chunks: no more will come from this process.

        `cut`: somebody may read on. What could be a secret's beginning is left to him, or the two halves of a
        secret would be stored side by side.
        """
        if not cut:
            self._keep(*self._masker.flush())
        chunks = self.flush()
        for piece in self._tail:
            chunks.append(self._chunk(piece, self._stored + self._dropped))
        self._tail.clear()
        self._tail_bytes = 0
        self._safe_remote = self.remote
        self._note()
        return chunks

    def _keep(self, masked: bytes, consumed: int) -> None:
        self.remote += consumed
        # A piece goes to the head whole or not at all: then the remote offset of the head's end is known,
        # and whoever reads on after us gets neither a gap nor a repeat.
        fits = self._stored + self._pending_bytes + len(masked) <= self._head_bytes
        if fits and not self._tail and not self._dropped:
            self._pending.append(masked)
            self._pending_bytes += len(masked)
            self._safe_remote = self.remote
        elif masked:
            self._tail.append(masked)
            self._tail_bytes += len(masked)
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        while self._tail_bytes - len(self._tail[0]) >= TAIL_BYTES:
            gone = len(self._tail.popleft())
            self._tail_bytes -= gone
            self._dropped += gone

    def _chunk(self, piece: bytes, start: int) -> OutputChunk:
        self._stored += len(piece)
        return OutputChunk(
            attempt=self._attempt, stream=self._stream, offset=start, end=start + len(piece), data=piece
        )

    def _note(self) -> None:
        """Write the counters to the attempt; what only this process holds is as good as not received."""
        setattr(self._attempt, f"{self._stream}_stored", self._stored)
        setattr(self._attempt, f"{self._stream}_remote", self._safe_remote)
        if not self._tail:
            setattr(self._attempt, f"{self._stream}_dropped", self._dropped)


class OutputStore:
    """Both streams of one attempt."""

    FIELDS = tuple(f"{s}_{what}" for s in ("stdout", "stderr") for what in ("remote", "stored", "dropped"))

    def __init__(self, attempt: Attempt, masker: Masker) -> None:
        self._streams: dict[str, StreamStore] = {
            "stdout": StreamStore(attempt, "stdout", masker.fresh()),
            "stderr": StreamStore(attempt, "stderr", masker.fresh()),
        }
        self._told: dict[str, int] = {name: store.reach for name, store in self._streams.items()}

    def feed(self, stream: Stream, data: bytes) -> None:
        self._streams[stream].feed(data)

    def flush(
        self, *, last: bool = False, cut: bool = False
    ) -> tuple[list[OutputChunk], list[dict[str, Any]]]:
        """Chunks to insert, and for each stream that grew an event part that says how far it reaches."""
        chunks: list[OutputChunk] = []
        grown: list[dict[str, Any]] = []
        for name, store in self._streams.items():
            chunks += store.close(cut=cut) if last else store.flush()
            if store.reach > self._told[name]:
                grown.append({"stream": name, "offset": self._told[name], "length": store.reach})
                self._told[name] = store.reach
        return chunks, grown


def _in_chunks(pieces: list[bytes]) -> Iterator[bytes]:
    """The same bytes in chunks of CHUNK_BYTES, the last one shorter. Nothing is copied twice."""
    short: list[bytes] = []
    missing = CHUNK_BYTES
    for piece in pieces:
        start = 0
        while len(piece) - start >= missing:
            yield b"".join([*short, piece[start : start + missing]])
            start += missing
            short.clear()
            missing = CHUNK_BYTES
        if start < len(piece):
            short.append(piece[start:])
            missing -= len(piece) - start
    if short:
        yield b"".join(short)
