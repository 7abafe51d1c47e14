"""The two streams of a command, as bytes from the wire to what the script itself wrote."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator

from automation.libraries.envelope_frames import FrameReader
from automation.libraries.envelope_frames import Record as Frame
from automation.libraries.errors import ConnectionLost
from automation.libraries.types import OnOutput, Stream
from automation.libraries.windows.clixml import ClixmlReader, shown
from automation.libraries.windows.types import OnRecord, Record

NOISE_KEPT = 4096
EARLY_KEPT = 50
LONGEST_FRAME = 128 * 1024
"""Bytes; the record of the end holds 64 KiB of outputs in base64."""


class Streams:
    """Reads stdout and stderr, and hands on what the script said: whole characters, as they come.

    `resumed`: the beginning was read by another process, so everything counts as the script's.
    """

    def __init__(
        self, nonce: str, on_output: OnOutput, on_record: OnRecord | None, *, resumed: bool = False
    ) -> None:
        self.begun = resumed
        self.frames: list[Frame] = []
        """Records that came, BEGIN and END included."""
        self.on_frame: Callable[[Frame], None] | None = None
        self.lengths: dict[Stream, int] = {"stdout": 0, "stderr": 0}
        self.noise = b""
        """The last that was said before the beginning."""
        self.muted = False
        """Nothing is handed on any more: too much has been."""
        self._ended = False
        self._reader = FrameReader(nonce, longest=LONGEST_FRAME)
        self._clixml = ClixmlReader(resumed=resumed)
        self._tail = b""
        self._early: list[Record | str] = []
        self._on_output = on_output
        self._on_record = on_record

    def feed(self, stream: Stream, data: bytes) -> None:
        """Take in bytes of one stream. Raises `ConnectionLost` for a record without an end."""
        if stream == "stderr":
            self._told(self._clixml.feed(data))
            return
        try:
            for piece in self._reader.feed(data):
                self._heard(piece)
        except ValueError:
            raise ConnectionLost("The target sent a record without an end") from None

    def _heard(self, piece: bytes | Frame) -> None:
        if isinstance(piece, Frame):
            if piece.word == "BEGIN":
                self._begin()
            self._ended = self._ended or piece.word == "END"
            self.frames.append(piece)
            if self.on_frame is not None:
                self.on_frame(piece)
        elif not self.begun:
            self.noise = (self.noise + piece)[-NOISE_KEPT:]
        elif not self._ended:
            piece = self._tail + piece
            whole = _whole_characters(piece)
            self._tail = piece[whole:]
            self._say("stdout", piece[:whole])

    def _begin(self) -> None:
        """What came on stderr is the script's too: in one answer it may stand before the record of stdout."""
        self.begun = True
        early, self._early = self._early, []
        self._told(iter(early))

    def _told(self, parts: Iterator[Record | str]) -> None:
        for part in parts:
            text = shown(part) if isinstance(part, Record) else part
            if not self.begun:
                self.noise = (self.noise + text.encode())[-NOISE_KEPT:]
                self._early = [*self._early, part][-EARLY_KEPT:]
                continue
            if isinstance(part, Record) and self._on_record is not None and not self.muted:
                self._on_record(part)
            self._say("stderr", text.encode())

    def finish(self) -> None:
        """Hand on what was held back."""
        self._told(self._clixml.feed(b"", final=True))
        tail, self._tail = self._tail, b""
        self._say("stdout", tail)

    def _say(self, stream: Stream, data: bytes) -> None:
        self.lengths[stream] += len(data)
        if data and not self.muted:
            self._on_output(stream, data)

    def frame(self, word: str) -> Frame | None:
        """The first record of this word."""
        return next((frame for frame in self.frames if frame.word == word), None)

    def end(self) -> tuple[str, bytes] | None:
        """Exit code (`-` where only the process's own tells) and outputs of the record of the end."""
        frame = self.frame("END")
        if frame is None or len(frame.fields) != 2:
            return None
        return frame.fields[0], decoded(frame.fields[1])


def decoded(field: str) -> bytes:
    """The bytes of a field in base64; none where it is `-` or no base64."""
    try:
        return b"" if field == "-" else base64.b64decode(field, validate=True)
    except binascii.Error:
        return b""


def _whole_characters(data: bytes) -> int:
    """How many bytes hold whole UTF-8 characters; what is no UTF-8 at all counts as whole."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return len(data) - back if length > back else len(data)
    return len(data)
