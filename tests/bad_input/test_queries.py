"""Which targets are meant: nothing, everything, or nothing that can be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from automation.models import JobRun, Target
from tests.api.conftest import READ_UPTIME, TOUCH

RUNS = "/api/v1/runs/"


def submit(clients: Any, definition: dict[str, Any], targets: str, **more: Any) -> Any:
    body = {"definition": definition, "targets": targets, **more}
    return clients["admin"].post(RUNS, body, format="json")


@pytest.mark.parametrize(
    "targets", ["", "   ", "\t", "()", "not", "group:", "a or", 'name:"a', "(a", "a)", "a &&"]
)
def test_a_query_that_says_nothing_readable_starts_nothing(clients: Any, targets: str) -> None:
    answer = submit(clients, READ_UPTIME, targets)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["code"] in {"invalid", "query.invalid"}
    assert answer.json()["errors"][0]["field"] == "targets"
    assert not JobRun.objects.exists()


@pytest.mark.parametrize("targets", ["nobody", "group:nobody", "a and not a"])
def test_a_query_that_matches_nothing_is_told_and_is_no_empty_success(
    clients: Any, make_target: Callable[..., Target], targets: str
) -> None:
    make_target("a", groups=("web",))
    answer = submit(clients, READ_UPTIME, targets)
    assert answer.status_code == 400
    assert answer.json()["code"] == "targets.none"
    assert "a" in answer.json()["detail"]
    assert not JobRun.objects.exists()


def test_a_query_that_matches_everything_shows_how_much_that_is(
    clients: Any, make_target: Callable[..., Target]
) -> None:
    for number in range(30):
        make_target(f"t{number}", groups=("web",))
    answer = submit(clients, TOUCH, "*", parameters={"file": "/tmp/x"}, hold=True)
    assert answer.status_code == 201, answer.content
    told = answer.json()
    assert told["blast_radius"]["targets"] == 30
    assert told["blast_radius"]["by_group"] == {"web": {"targets": 30, "share": 1.0}}
    assert told["status"] not in {"queued", "running"}
