"""The rows of the live path as the frames they are sent in: read once, they go to all who follow."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from automation.models import Attempt, AttemptState, Event, JobRun, OutputChunk, StepResult
from automation.models.results import UNFINISHED
from automation.models.runs import FINAL

EVENTS_AT_ONCE = 500
CHUNKS_AT_ONCE = 8
STREAMS = ("stdout", "stderr")
# An unknown attempt may still be reconciled, and what it printed be read.
OVER = (AttemptState.ENDED, AttemptState.FENCED)


def as_frame(message: dict[str, Any]) -> str:
    """One line of JSON."""
    return json.dumps(message, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a run's story goes, and whether the run is over."""

    last: int
    final: bool


def standings(run_ids: Iterable[int]) -> dict[int, Standing]:
    rows = JobRun.objects.filter(pk__in=list(run_ids)).values_list("pk", "last_seq", "status").order_by()
    return {pk: Standing(last, status in FINAL) for pk, last, status in rows}


@dataclass(frozen=True, slots=True)
class Part:
    """The events `after + 1` to `last` of a run, each a frame."""

    after: int
    last: int
    frames: tuple[str, ...]


def story_part(run_id: int, after: int) -> Part:
    """The next events after a number, at most EVENTS_AT_ONCE; none when there are none yet."""
    rows = Event.objects.filter(run=run_id, seq__gt=after).order_by("seq")[:EVENTS_AT_ONCE]
    frames = []
    for seq, event in enumerate(rows, start=after + 1):
        if event.seq != seq:
            break
        frames.append(as_frame(event.as_dict()))
    return Part(after, after + len(frames), tuple(frames))


@dataclass(frozen=True, slots=True)
class Place:
    """Where output is printed: one stream of one body of one step on one target."""

    result_id: int
    body: str
    stream: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Stored bytes of one attempt that follow `after`, up to `end`; a gap was dropped.

    `over`: the attempt is, and nothing follows. `attempt` is empty while there is none.
    """

    attempt: str
    after: int
    end: int
    over: bool
    frames: tuple[str, ...] = ()


def find_result(run_id: int, target: str, step: str) -> int | None:
    """The row of a step on a target, by their names."""
    rows = StepResult.objects.filter(run=run_id, run_target__name=target, step=step)
    return rows.values_list("pk", flat=True).first()


def output_piece(place: Place, *, attempt: str, after: int, wanted: uuid.UUID | None = None) -> Piece:
    """What follows byte `after` of this attempt, at most CHUNKS_AT_ONCE chunks.

    Of the attempt `wanted`, else of the last one; where that is not `attempt`, from its beginning.
    """
    tries = Attempt.objects.select_related("result__run_target").filter(
        result=place.result_id, body=place.body
    )
    row = (tries.filter(pk=wanted) if wanted else tries.order_by("-number")).first()
    if row is None:
        return _nothing(place)
    start = after if attempt in ("", row.pk.hex) else 0
    found = OutputChunk.objects.covering(row.pk, place.stream, start)
    chunks = list(found[: CHUNKS_AT_ONCE + 1])
    # The attempt was read before its chunks: over then, all it printed is stored now.
    over = row.state in OVER and len(chunks) <= CHUNKS_AT_ONCE
    return _piece(row, place, start, chunks[:CHUNKS_AT_ONCE], over=over)


def _piece(row: Attempt, place: Place, start: int, chunks: list[OutputChunk], *, over: bool) -> Piece:
    about = {
        "kind": "bytes",
        "target": row.result.run_target.name,
        "step": row.result.step,
        "body": row.body,
        "attempt": row.pk.hex,
        "stream": place.stream,
    }
    frames, end = [], start
    for chunk in chunks:
        begin = max(chunk.offset, end)
        data = base64.b64encode(bytes(chunk.data)[begin - chunk.offset :]).decode()
        end = chunk.end
        eof = over and chunk is chunks[-1]
        frames.append(as_frame(about | {"offset": begin, "data": data, "eof": eof}))
    if over and not chunks:
        frames.append(as_frame(about | {"offset": end, "data": "", "eof": True}))
    return Piece(row.pk.hex, start, end, over, tuple(frames))


def _nothing(place: Place) -> Piece:
    """The body was never tried: when the step is over, or gone, that is all there will be."""
    result = StepResult.objects.select_related("run_target").filter(pk=place.result_id).first()
    if result is None:
        return Piece("", 0, 0, over=True)
    if result.state in UNFINISHED:
        return Piece("", 0, 0, over=False)
    end = {
        "kind": "bytes",
        "target": result.run_target.name,
        "step": result.step,
        "body": place.body,
        "attempt": None,
        "stream": place.stream,
        "offset": 0,
        "data": "",
        "eof": True,
    }
    return Piece("", 0, 0, over=True, frames=(as_frame(end),))


@dataclass(frozen=True, slots=True)
class Mark:
    """Of an attempt what changes when it prints or ends."""

    attempt: str
    stdout: int
    stderr: int
    state: str

    def stored(self, stream: str) -> int:
        return self.stdout if stream == "stdout" else self.stderr


def marks(places: Iterable[Place]) -> dict[tuple[int, str], Mark]:
    """The mark of the last attempt, by result and body."""
    rows = Attempt.objects.filter(result__in={place.result_id for place in places}).order_by("number")
    values = rows.values_list("result_id", "body", "pk", "stdout_stored", "stderr_stored", "state")
    return {(result, body): Mark(pk.hex, out, err, state) for result, body, pk, out, err, state in values}
