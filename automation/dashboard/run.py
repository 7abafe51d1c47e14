"""The live page of a run: a snapshot that stands by itself, and what its script follows on with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from automation.dashboard.plan import plan_page, readable, rollout_words, standing
from automation.dashboard.plan_targets import as_text
from automation.dashboard.run_matrix import (
    LOOKS,
    Cell,
    Row,
    opened_first,
    progress,
    rows_of,
    state_of,
    tallies,
    telling_body,
)
from automation.forecast import forecast_steps
from automation.live.snapshot import Snapshot, snapshot
from automation.models import Attempt, Event, JobRun, OutputChunk, RunStatus, StoredFile
from automation.models.runs import WAITING

LAST_OUTPUT = 32 * 1024
STORY = 200
FILES_SHOWN = 200
STREAMS = ("stdout", "stderr")
# CSI; OSC, DCS and the like with their end; single escapes. What is no complete sequence is shown.
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-OQ-WYZ\\`-~])")
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@login_required
@require_GET
@never_cache
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """The plan while the run waits for people; from then on what happens."""
    found = get_object_or_404(readable(request), pk=pk)
    return plan_page(request, found) if found.status in WAITING else _live_page(request, pk)


@login_required
@require_GET
@never_cache
def run_state(request: HttpRequest, pk: int) -> JsonResponse:
    """The snapshot the live page starts from, taken anew."""
    get_object_or_404(readable(request), pk=pk)
    taken = snapshot(pk)
    return JsonResponse(state_of(taken, rows_of(taken), _header(taken.run)["workflow"]["steps"]))


@login_required
@require_GET
@never_cache
def run_times(request: HttpRequest, pk: int) -> JsonResponse:
    """`{"times": [[offset, end, at], …]}`: when the output of one body of a step reached which byte.

    An attempt that follows another of the same body begins at 0 again; only the last attempt's are told.
    """
    get_object_or_404(readable(request), pk=pk)
    named = {key: request.GET.get(key, "") for key in ("target", "step", "body", "stream")}
    wanted = {f"data__{key}": value for key, value in named.items()}
    events = Event.objects.filter(run=pk, data__kind="output", **wanted).order_by("seq")
    times: list[list[Any]] = []
    for at, data in events.values_list("at", "data"):
        if data["offset"] == 0:
            times = []
        times.append([data["offset"], data["length"], at.isoformat()])
    return JsonResponse({"times": times})


def _live_page(request: HttpRequest, pk: int) -> HttpResponse:
    taken = snapshot(pk)
    found, header = taken.run, _header(taken.run)
    rows = rows_of(taken)
    shown = _shown(request, rows)
    body = _body(request, taken, shown) if shown else str(Attempt.Body.RUN)
    steps = header["workflow"]["steps"]
    batches = len(header["rollout"]["batches"])
    context = {
        "run": found,
        "header": header,
        "steps": steps,
        "rows": rows,
        "looks": LOOKS,
        "tallies": tallies(rows),
        "failed": sum(row.rank == "failed" for row in rows),
        "done": sum(row.rank in ("failed", "ok", "stopped") for row in rows),
        "segments": progress(rows),
        "batches": batches,
        "batch": min(found.batch + 1, batches),
        "shown": shown,
        "output": _last_output(taken, shown, body) if shown else [],
        "body": body,
        "story": _story(taken),
        "parameters": [
            *((name, as_text(value)) for name, value in header["parameters"].items()),
            *((name, "********") for name in header.get("secrets", {})),
        ],
        "files": _files(request, found) if header.get("downloads") else [],
        "forecast": forecast_steps(found) if found.dry_run else [],
        "rollout": rollout_words(
            header["rollout"], found.total, changes=found.tier != "read" and not found.dry_run
        ),
        "statuses": RunStatus.values,
        "state": state_of(taken, rows, steps),
    }
    return render(request, "automation/run.html", context | standing(request, found))


def _header(run: JobRun) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(run.header)
    return header


def _files(request: HttpRequest, found: JobRun) -> list[StoredFile]:
    """What its steps brought from targets."""
    return list(StoredFile.objects.visible_to(request.user).of_run(found)[:FILES_SHOWN])


def _shown(request: HttpRequest, rows: list[Row]) -> Cell | None:
    """The cell the address names, else the one worth looking at first. Raises Http404 for an unknown one."""
    target, step = request.GET.get("target"), request.GET.get("step")
    if target is None:
        return opened_first(rows)
    row = next((row for row in rows if row.name == target), None)
    if row is None:
        raise Http404(f"The run has no target {target}.")
    if step is None:
        return opened_first([row])
    cell = next((cell for cell in row.cells if cell.result.step == step), None)
    if cell is None:
        raise Http404(f"The run has no step {step}.")
    return cell


def _body(request: HttpRequest, taken: Snapshot, shown: Cell) -> str:
    """The body the address names, else the one that tells most."""
    named = request.GET.get("body", "")
    return named if named in Attempt.Body.values else telling_body(taken, shown.result)


def _last_output(taken: Snapshot, shown: Cell, body: str) -> list[dict[str, str]]:
    """The end of both streams as plain text, for a page without its script."""
    attempt = taken.last_attempt(shown.result, body)
    return [{"stream": stream, "text": _tail(attempt, stream) if attempt else ""} for stream in STREAMS]


def _tail(attempt: Attempt, stream: str) -> str:
    chunks = OutputChunk.objects.filter(attempt=attempt, stream=stream).order_by("-offset")
    parts: list[bytes] = []
    size = 0
    for data in chunks.values_list("data", flat=True).iterator(chunk_size=4):
        parts.append(bytes(data))
        size += len(data)
        if size >= LAST_OUTPUT:
            break
    text = b"".join(reversed(parts))[-LAST_OUTPUT:].decode(errors="replace")
    return plain(text)


def plain(text: str) -> str:
    """Terminal output without what only a terminal understands."""
    return CONTROLS.sub("\N{REPLACEMENT CHARACTER}", ESCAPES.sub("", text).replace("\r\n", "\n"))


def _story(taken: Snapshot) -> Iterable[dict[str, Any]]:
    """The newest entries up to the snapshot's number, oldest first, without how far output reached."""
    events = Event.objects.filter(run=taken.run, seq__lte=taken.last_seq).exclude(data__kind="output")
    return [event.as_dict() | {"at": event.at} for event in reversed(events.order_by("-seq")[:STORY])]
