"""Values, scripts and lines that are larger than anybody should send."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from automation.models import Attempt, JobRun, OutputChunk, WorkflowVersion
from tests.workers.spine import Spine

RUNS = "/api/v1/runs/"
WORKFLOWS = "/api/v1/workflows/"
MEGABYTE = 1024 * 1024
# Many times what is kept of an output. The whole gigabyte takes a minute, by hand:
# OPSPORTAL_LINE_MEGABYTES=1024 python -m pytest tests/bad_input/test_large_things.py
LINE = int(os.environ.get("OPSPORTAL_LINE_MEGABYTES", "48")) * MEGABYTE
MEMORY_ALLOWED = 32 * MEGABYTE
SAY_LENGTH = """
    name: measure
    parameters: {text: {type: string}}
    steps:
      - {name: length, effect: EFFECT, run: {bash: 'printf %s "$text" | wc -c'}}
"""


def definition(script: str) -> dict[str, Any]:
    return {"name": "large", "steps": [{"name": "s", "effect": "read", "run": {"bash": script}}]}


def refused(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    body: dict[str, Any] = answer.json()
    assert body["code"] == code
    return body


def test_a_parameter_of_a_megabyte_is_refused_by_name_and_not_quoted(clients: Any, make_target: Any) -> None:
    make_target("a")
    asked = {
        "definition": {**definition("true"), "parameters": {"text": {"type": "string"}}},
        "targets": "a",
        "parameters": {"text": "canary" * (MEGABYTE // 6)},
    }
    answer = clients["admin"].post(RUNS, asked)
    body = refused(answer, 400, "parameters.invalid")
    assert [error["path"] for error in body["errors"]] == ["parameters.text"]
    assert "256" in body["errors"][0]["message"]
    assert b"canary" not in answer.content
    assert not JobRun.objects.exists()


@pytest.mark.parametrize("effect", ["read", "change"])
def test_the_largest_parameter_arrives_whole(spine: Spine, effect: str) -> None:
    spine.add_targets("a")
    text = "é" * (128 * 1024)
    run = spine.run(SAY_LENGTH.replace("EFFECT", effect), parameters={"text": text})
    assert run.status == "succeeded"
    assert bytes(OutputChunk.objects.get().data) == b"262144\n"


def test_a_script_of_five_megabytes_is_refused_before_it_is_read(clients: Any) -> None:
    admin: APIClient = clients["admin"]
    body = refused(
        admin.post(WORKFLOWS, {"definition": definition("#" * (5 * MEGABYTE))}), 413, "body.too_large"
    )
    assert "at most" in body["detail"]
    assert not WorkflowVersion.objects.exists()


def test_a_script_longer_than_allowed_is_refused_with_its_place(clients: Any) -> None:
    admin: APIClient = clients["admin"]
    answer = admin.post(WORKFLOWS, {"definition": definition("#" * (MEGABYTE + 1))})
    body = refused(answer, 400, "definition.invalid")
    assert body["errors"][0]["path"].startswith("steps")
    assert len(answer.content) < 2_000
    assert not WorkflowVersion.objects.exists()


def resident(what: str) -> int:
    """Bytes of this process: VmRSS now, or VmHWM, the most since the mark was put back."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


@pytest.mark.parametrize("effect", ["read", "change"])
def test_of_an_endless_line_both_ends_are_kept_in_bounded_memory(spine: Spine, effect: str) -> None:
    spine.add_targets("a")
    script = rf"echo begin; head -c {LINE} /dev/zero | tr '\0' a; echo end"
    definition = {"name": "c", "steps": [{"name": "s", "effect": effect, "run": {"bash": script}}]}
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM counts from here
    before = resident("VmRSS")
    run = spine.run(json.dumps(definition))
    grown = resident("VmHWM") - before
    assert spine.states(run) == {"a": ["succeeded"]}
    attempt = Attempt.objects.get()
    assert attempt.stdout_remote == len("begin\n") + LINE + len("end\n")
    assert attempt.stdout_remote == attempt.stdout_stored + attempt.stdout_dropped
    kept = b"".join(bytes(chunk.data) for chunk in OutputChunk.objects.order_by("offset"))
    assert kept.startswith(b"begin\naaaa") and kept.endswith(b"aaaaend\n")
    assert grown < MEMORY_ALLOWED, f"memory grew by {grown / MEGABYTE:.0f} MiB"
