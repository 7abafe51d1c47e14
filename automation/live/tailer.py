"""The one thread of a web process that reads what is new, once, for all who follow."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from channels.layers import get_channel_layer
from django.db import InterfaceError, OperationalError, connection

from automation.live.doorbell import Doorbell, doorbell
from automation.live.reading import Mark, Piece, Place, marks, output_piece, standings, story_part

log = logging.getLogger(__name__)

PULSE_SECONDS = 3.0
PULSE_GROUP = "live.pulse"
PAUSE_AFTER_FAILURE = 1.0
SENDING_SECONDS = 5.0
READERS = 2

Given = ParamSpec("Given")
Answer = TypeVar("Answer")
Followed = int | Place
"""A run by its id, or a place of output."""


def group_of(followed: Followed) -> str:
    """The channel group that gets what is new there."""
    if isinstance(followed, int):
        return f"live.run.{followed}"
    return f"live.output.{followed.result_id}.{followed.body}.{followed.stream}"


async def end_all_following() -> None:
    """Have everybody who follows in this process end: `{"type": "live.end"}`; the process is about to."""
    await get_channel_layer().group_send(PULSE_GROUP, {"type": "live.end"})


class Tailer:
    """Lives as long as its process, works while anybody follows: the first to join starts its thread.

    Messages to a group: `{"type": "live.story", "after", "last", "frames"}` for a run, `{"type":
    "live.output", "place", "attempt", "after", "end", "over", "frames"}` for a place; `frames` are lines.
    Every PULSE_SECONDS each group is told how far things reach, and `{"type": "live.pulse"}` goes to
    PULSE_GROUP, so that whatever got lost on the way is noticed.
    """

    def __init__(self) -> None:
        self._followed: Counter[Followed] = Counter()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="live-reader")

    async def read(
        self, reading: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs
    ) -> Answer:
        """Call it where the database may be used, beside the thread that follows."""

        def work() -> Answer:
            # The connection stays: to make one costs more than most of what is read.
            try:
                return reading(*args, **kwargs)
            except (OperationalError, InterfaceError):
                connection.close()
                return reading(*args, **kwargs)  # reads may be repeated, and the old one may just be stale

        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    def join(self, followed: Followed) -> None:
        """Tell its group what is new from now on. Each join needs its `leave`; call in the event loop."""
        with self._lock:
            self._followed[followed] += 1
            if self._thread is None or not self._thread.is_alive():
                work = _Work(self._now_followed, asyncio.get_running_loop())
                self._thread = threading.Thread(target=work.run, daemon=True, name="live-tailer")
                self._thread.start()

    def leave(self, followed: Followed) -> None:
        with self._lock:
            self._followed[followed] -= 1
            if self._followed[followed] <= 0:
                del self._followed[followed]

    @property
    def working(self) -> bool:
        return self._thread is not None

    def _now_followed(self) -> set[Followed]:
        """What to look for. Nothing: the thread ends, and whoever joins next starts another."""
        with self._lock:
            if not self._followed:
                self._thread = None
            return set(self._followed)


class _Work:
    """What the thread does and knows; all of it is forgotten when it ends."""

    def __init__(self, followed: Callable[[], set[Followed]], loop: asyncio.AbstractEventLoop) -> None:
        self._followed = followed
        self._loop = loop
        self._runs: dict[int, int] = {}
        self._outputs: dict[Place, Piece] = {}
        self._marks: dict[Place, Mark | None] = {}
        self._pulse_at = 0.0

    def run(self) -> None:
        followed = self._followed()
        try:
            while followed:
                try:
                    followed = self._follow(followed)
                except Exception as error:  # whatever it is, everybody who follows depends on this thread
                    if self._loop.is_closed():
                        return  # the process ends
                    away = isinstance(error, OperationalError | InterfaceError)
                    log.warning("the live path pauses for a moment: %s", error, exc_info=not away)
                    connection.close()
                    time.sleep(PAUSE_AFTER_FAILURE)
                    followed = self._followed()
        finally:
            connection.close()

    def _follow(self, followed: set[Followed]) -> set[Followed]:
        """Until nothing is followed any more; raises what the database does."""
        bell = doorbell()
        try:
            while followed:
                self._look(bell, followed)
                followed = self._followed_still(followed)
            return followed
        finally:
            bell.close()

    def _followed_still(self, before: set[Followed]) -> set[Followed]:
        now = self._followed()
        for gone in before - now:
            if isinstance(gone, int):
                self._runs.pop(gone, None)
            else:
                self._outputs.pop(gone, None)
                self._marks.pop(gone, None)
        return now

    def _look(self, bell: Doorbell, followed: set[Followed]) -> None:
        rang = bell.wait()
        pulse = time.monotonic() >= self._pulse_at
        new = any(isinstance(f, int) and f not in self._runs for f in followed)
        new = new or any(isinstance(f, Place) and f not in self._marks for f in followed)
        if not (rang or pulse or new):
            return
        messages = [*self._stories(followed, pulse=pulse), *self._printed(followed, pulse=pulse)]
        if pulse:
            self._pulse_at = time.monotonic() + PULSE_SECONDS
            messages.append((PULSE_GROUP, {"type": "live.pulse"}))
        if messages:
            self._send(messages)

    def _stories(self, followed: set[Followed], *, pulse: bool) -> Iterator[tuple[str, dict[str, Any]]]:
        runs = [run for run in followed if isinstance(run, int)]
        for run, standing in standings(runs).items():
            known = self._runs.get(run)
            if known is None or pulse:
                # Whoever has less reads it for himself.
                known = standing.last if known is None else known
                yield group_of(run), {"type": "live.story", "after": known, "last": known, "frames": ""}
            while known < standing.last:
                part = story_part(run, known)
                known = part.last
                yield (
                    group_of(run),
                    {
                        "type": "live.story",
                        "after": part.after,
                        "last": part.last,
                        "frames": "\n".join(part.frames),
                    },
                )
                if not part.frames:
                    break
            self._runs[run] = known

    def _printed(self, followed: set[Followed], *, pulse: bool) -> Iterator[tuple[str, dict[str, Any]]]:
        places = [place for place in followed if isinstance(place, Place)]
        if not places:
            return
        found = marks(places)
        for place in places:
            mark = found.get((place.result_id, place.body))
            new = place not in self._marks
            known = self._outputs.get(place, Piece("", 0, 0, over=False))
            if new and mark is not None:
                # From here on; whoever has less reads it for himself.
                known = Piece(mark.attempt, 0, mark.stored(place.stream), over=False)
            if pulse or new:
                yield group_of(place), _output_message(place, known, frames=False)
            if mark != self._marks.get(place):
                yield from self._pieces(place, known)
            elif new:
                self._outputs[place] = known
            self._marks[place] = mark

    def _pieces(self, place: Place, known: Piece) -> Iterator[tuple[str, dict[str, Any]]]:
        while True:
            piece = output_piece(place, attempt=known.attempt, after=known.end)
            grown = (piece.attempt, piece.end, piece.over) != (known.attempt, known.end, known.over)
            self._outputs[place] = known = piece
            if not grown:
                return
            yield group_of(place), _output_message(place, piece, frames=True)

    def _send(self, messages: list[tuple[str, dict[str, Any]]]) -> None:
        """Hand them over in order; the next look waits until that is done."""

        async def send() -> None:
            layer = get_channel_layer()
            for group, message in messages:
                await layer.group_send(group, message)

        sending = asyncio.run_coroutine_threadsafe(send(), self._loop)
        try:
            sending.result(SENDING_SECONDS)
        except TimeoutError:
            sending.cancel()
            log.warning("the live path could not hand over in time; followers will read for themselves")


def _output_message(place: Place, piece: Piece, *, frames: bool) -> dict[str, Any]:
    return {
        "type": "live.output",
        "place": group_of(place),
        "attempt": piece.attempt,
        "after": piece.after if frames else piece.end,
        "end": piece.end,
        "over": piece.over,
        "frames": "\n".join(piece.frames) if frames else "",
    }
