"""Files on their way to a Windows target, and back: streamed over WinRM in lines of base64.

The twin of `automation.libraries.staging`. A file is kept in the spool by its content's hash, so one that is
there already is not sent again, and staging may be repeated whatever becomes of the connection.

The command line is `powershell.exe … -EncodedCommand <stage.ps1>`. Its stdin is one line of JSON (`mode`
`look` or `take`, `nonce`, `sha256`, `spool`) and, to take, the file in base64, line by line. It answers with
one record: `AT`, the whole file lies in `<spool>\\files\\<sha256>`; `NEED`, it does not; `NOWHERE`, it
cannot be written.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from automation.libraries.deadlines import remaining
from automation.libraries.errors import ConnectionLost, LibraryError, SpoolUnusable
from automation.libraries.staging import LocalFile
from automation.libraries.types import Control, OnOutput, Stream
from automation.libraries.windows.bootstrap import encoded_command
from automation.libraries.windows.connection import WinRMConnection
from automation.libraries.windows.follow import Follow, Place
from automation.libraries.windows.plain import abandon, explain_end, free
from automation.libraries.windows.streams import Streams

PIECE = 48 * 1024
"""Bytes of a file in a line; a multiple of three, so that no line but the last is padded."""
LONGEST_LINE = 1024 * 1024
ANSWER_LIMIT = 64 * 1024


@cache
def _command() -> tuple[str, tuple[str, ...]]:
    return encoded_command((Path(__file__).parent / "stage.ps1").read_text("ascii"))


def stage_on_windows(
    connection: WinRMConnection, file: LocalFile, *, spool: str, control: Control, deadline: float
) -> str | None:
    """Where on the target the file now lies; None when `control` asked to stop.

    Holds a few pieces of it in memory at a time. Raises `SpoolUnusable` where the target has no room for it,
    and what a connection raises; `sent` is always False, for no step has begun.
    """
    staging = _Staging(connection, spool, control, deadline)
    try:
        answer = staging.ask(file, take=False)
        if answer == "NEED":
            answer = staging.ask(file, take=True)
    except LibraryError as fault:
        fault.sent = False
        raise
    if answer == "AT" or not answer:
        return f"{spool}\\files\\{file.sha256}" if answer else None
    raise SpoolUnusable(
        "The file did not arrive whole on the target", cause_hint="Its disk may be full", sent=False
    )


class _Staging:
    def __init__(self, connection: WinRMConnection, spool: str, control: Control, deadline: float) -> None:
        self._connection = connection
        self._spool = spool
        self._control = control
        self._deadline = deadline

    def ask(self, file: LocalFile, *, take: bool) -> str:
        """The word of the answer; empty when it was stopped."""
        nonce = secrets.token_hex(16)
        streams = Streams(nonce, _drop, None)
        place = Place(*self._connection.start(*_command()))
        follow = Follow(self._connection, place, streams, output_limit=ANSWER_LIMIT, control=self._control)
        wanted = {"mode": "take" if take else "look", "nonce": nonce}
        wanted |= {"sha256": file.sha256, "spool": self._spool}
        try:
            follow.upload_pieces(_lines(wanted, file if take else None))
            follow.until_end(timeout=remaining(self._deadline), deadline=self._deadline)
        except LibraryError:
            abandon(self._connection)
            raise
        if follow.stopped != "ended":
            abandon(self._connection)
            return ""
        free(self._connection, place)
        if not streams.frames:
            raise explain_end(follow, streams)
        return streams.frames[0].word


def _lines(wanted: dict[str, str], file: LocalFile | None) -> Iterator[bytes]:
    yield json.dumps(wanted, ensure_ascii=True).encode("ascii") + b"\n"
    if file is None:
        return
    with file.path.open("rb") as opened:
        while piece := opened.read(PIECE):
            yield base64.b64encode(piece) + b"\n"


def _drop(_stream: Stream, _data: bytes) -> None:
    """The script says nothing but records."""


class FromBase64:
    """Turns the lines that a downloading step prints into the file's bytes; stderr goes on as it is."""

    def __init__(self, on_output: OnOutput) -> None:
        self._on_output = on_output
        self._rest = b""

    def __call__(self, stream: Stream, data: bytes) -> None:
        """Take in output. Raises `ConnectionLost` for what is no base64."""
        if stream != "stdout":
            self._on_output(stream, data)
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            raise ConnectionLost("The target sent a line of a file without an end")
        for line in lines:
            try:
                piece = base64.b64decode(line.strip(), validate=True)
            except binascii.Error:
                raise ConnectionLost("The target sent a file in another form than base64") from None
            if piece:
                self._on_output("stdout", piece)
