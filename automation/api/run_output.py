"""Output of an attempt, byte for byte as it was stored."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404, HttpResponse
from rest_framework.request import Request

from automation.api.pages import whole_number
from automation.api.problems import Problem
from automation.definitions.errors import did_you_mean, nearest
from automation.models import Attempt, AttemptState, JobRun, OutputChunk, StepResult
from automation.models.results import UNFINISHED

PIECE = 1024 * 1024
LONGEST_PIECE = 4 * PIECE
STREAMS = ("stdout", "stderr")
# An unknown attempt may still be reconciled, and what it printed be read.
OVER = (AttemptState.ENDED, AttemptState.FENCED)


def output_answer(request: Request, run: JobRun) -> HttpResponse:
    """One contiguous piece of a stream, from the first stored byte at or after `offset`.

    Headers: X-Offset (where the piece begins), X-Next-Offset (where to go on), X-Dropped (bytes between the
    offset asked for and X-Offset that were not kept), X-Complete (nothing follows).
    """
    result = _result(request, run)
    attempt = _attempt(request, result)
    stream = _one_of(request, "stream", STREAMS, "stdout")
    offset = whole_number(request, "offset", default=0, at_least=0, at_most=2**63 - 1)
    limit = whole_number(request, "limit", default=PIECE, at_least=1, at_most=LONGEST_PIECE)
    if attempt is None:
        begin, data, complete = offset, b"", result.state not in UNFINISHED
    else:
        begin, data = _piece(attempt, stream, offset, limit)
        # The attempt was read before its chunks: over then, all it printed is stored now.
        rest = OutputChunk.objects.covering(attempt.pk, stream, begin + len(data))
        complete = attempt.state in OVER and not rest.exists()
    name = f"run-{run.pk}-step-{result.step_index + 1}-{stream}.bin"
    return HttpResponse(
        data,
        content_type="application/octet-stream",
        headers={
            "X-Content-Type-Options": "nosniff",
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
            "X-Offset": str(begin),
            "X-Next-Offset": str(begin + len(data)),
            "X-Dropped": str(begin - offset),
            "X-Complete": "true" if complete else "false",
        },
    )


def _result(request: Request, run: JobRun) -> StepResult:
    wanted = {key: request.query_params.get(key) for key in ("target", "step")}
    for key, value in wanted.items():
        if not value:
            message = f"{key} is missing: say whose output you mean, by name."
            raise Problem(message, code="query.invalid", errors=[{"field": key, "message": message}])
    found = StepResult.objects.filter(run=run, run_target__name=wanted["target"], step=wanted["step"]).first()
    if found is None:
        raise Problem(_unknown(run, str(wanted["target"]), str(wanted["step"])), code="not_found", status=404)
    return found


def _unknown(run: JobRun, target: str, step: str) -> str:
    """What the run does not have, and what was probably meant."""
    targets = run.targets.values_list("name", flat=True)
    if target not in targets:
        near = nearest(target, targets)
        hint = f"; did you mean {near!r}?" if near else f". `/runs/{run.pk}/targets/` lists those it has."
        return f"Run {run.pk} has no target {target!r}{hint}"
    steps = run.results.order_by("step_index").values_list("step", flat=True).distinct()
    return f"Run {run.pk} has no step {step!r}{did_you_mean(step, dict.fromkeys(steps))}"


def _attempt(request: Request, result: StepResult) -> Attempt | None:
    """The attempt asked for, else the last one of the body; None when there was none yet."""
    body = _one_of(request, "body", Attempt.Body.values, "run")
    attempts: Any = result.attempts.filter(body=body)
    text = request.query_params.get("attempt")
    if text is None:
        return attempts.order_by("-number").first()  # type: ignore[no-any-return]
    try:
        wanted = uuid.UUID(hex=text)
    except ValueError:
        raise Http404 from None
    found = attempts.filter(pk=wanted).first()
    if found is None:
        raise Http404
    return found  # type: ignore[no-any-return]


def _one_of(request: Request, name: str, choices: Any, default: str) -> str:
    value = request.query_params.get(name, default)
    if value in choices:
        return value
    message = f"{name} must be one of {', '.join(choices)}."
    raise Problem(message, code="query.invalid", errors=[{"field": name, "message": message}])


def _piece(attempt: Attempt, stream: str, offset: int, limit: int) -> tuple[int, bytes]:
    """Where stored bytes begin at or after `offset`, and those up to `limit` or the next gap."""
    begin = position = offset
    parts: list[bytes] = []
    for chunk in OutputChunk.objects.covering(attempt.pk, stream, offset).iterator(chunk_size=16):
        if not parts:
            begin = position = max(offset, chunk.offset)
        if chunk.offset > position:
            break
        part = bytes(chunk.data)[position - chunk.offset :][: limit - (position - begin)]
        parts.append(part)
        position += len(part)
        if position - begin >= limit:
            break
    return begin, b"".join(parts)
