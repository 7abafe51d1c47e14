"""How far one follower has come: what he gets of each message, without a gap and without a repeat.

The messages of the tailer are only the quick way. One that does not begin where the follower stands makes him
read the rows from there himself, so that a lost, late or doubled message changes nothing that he gets.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

from automation.live.reading import EVENTS_AT_ONCE, Piece, Place, output_piece, story_part
from automation.live.tailer import Tailer


class StoryPosition:
    """A follower's place in the story of a run: `last` is the number of the last event that he has."""

    def __init__(self, tailer: Tailer, run_id: int, *, after: int) -> None:
        self._tailer = tailer
        self._run_id = run_id
        self.last = after

    async def catch_up(self) -> AsyncIterator[str]:
        """All events after `last` that are there by now, read from the rows."""
        while True:
            part = await self._tailer.read(story_part, self._run_id, self.last)
            for frame in part.frames:
                self.last += 1
                yield frame
            if len(part.frames) < EVENTS_AT_ONCE:
                return

    async def take(self, message: dict[str, Any]) -> AsyncIterator[str]:
        """What is new to this follower, now that the tailer has said this."""
        if message["last"] <= self.last:
            return
        if message["after"] > self.last or not message["frames"]:
            async for frame in self.catch_up():
                yield frame
            return
        for frame in message["frames"].split("\n")[self.last - message["after"] :]:
            self.last += 1
            yield frame


class OutputPosition:
    """A follower's place in output of the last attempt, or the one `wanted`: he has all before `offset`."""

    def __init__(self, tailer: Tailer, place: Place, *, offset: int, wanted: uuid.UUID | None = None) -> None:
        self._tailer = tailer
        self._place = place
        self._wanted = wanted
        self._attempt = ""
        self._offset = offset
        self._over = False

    async def catch_up(self) -> AsyncIterator[str]:
        """All bytes after `offset` that are stored by now, read from the rows."""
        while True:
            piece = await self._tailer.read(
                output_piece, self._place, attempt=self._attempt, after=self._offset, wanted=self._wanted
            )
            if not self._moves(piece):
                return
            # Noted before it is sent: a follower who goes away half-way never asks here again.
            self._attempt, self._offset, self._over = piece.attempt, piece.end, piece.over
            for frame in piece.frames:
                yield frame

    async def take(self, message: dict[str, Any]) -> AsyncIterator[str]:
        """What is new to this follower, now that the tailer has said this."""
        if self._wanted is not None:
            if self._over:
                return
            if message["attempt"] != self._wanted.hex:
                message = message | {"frames": ""}  # about another attempt: no more than a reason to look
        same = message["attempt"] == self._attempt
        if same and message["end"] <= self._offset and message["over"] <= self._over:
            return
        begins = message["after"] == self._offset and (same or (not self._attempt and not self._offset))
        if not begins or not message["frames"]:
            async for frame in self.catch_up():
                yield frame
            return
        self._attempt, self._offset, self._over = message["attempt"], message["end"], message["over"]
        for frame in message["frames"].split("\n"):
            yield frame

    def _moves(self, piece: Piece) -> bool:
        moved = (piece.attempt, piece.end, piece.over) != (self._attempt, self._offset, self._over)
        return moved and bool(piece.frames or piece.attempt != self._attempt)
