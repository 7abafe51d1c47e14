"""The portal's disk is full, or somebody else holds its database: work waits, goes on, and is done once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_errors import ServiceFailedError
from aiworkflows.client_types import Run
from tests.bad_input.full_disk import disk, full, locked
from tests.libraries.sshd import Sshd
from tests.opsportal.one_target import OneTarget
from tests.opsportal.portal import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.sqlite, pytest.mark.hosts]
STEPS = [f"s{number}" for number in range(1, 4)]
OUTPUT = 200_000
SCRIPT = f'echo NAME >> "$HOME/journal"; head -c {OUTPUT} /dev/zero | tr "\\0" x; sleep 1'
WORKFLOW: dict[str, Any] = {
    "name": "write-it-down",
    "parameters": {"text": {"type": "string", "required": False}},
    "steps": [{"name": name, "run": {"bash": SCRIPT.replace("NAME", name)}} for name in STEPS],
}
BUSY_SECONDS = 20.0
"""How long a statement waits for somebody else's transaction."""


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneTarget]:
    folder = tmp_path_factory.mktemp("small")
    (folder / "target").mkdir()
    target = Sshd(folder / "target")
    try:
        with disk(folder / "data", "64m") as data:
            made = OneTarget(data, target)
            try:
                made.start()
                yield made
            finally:
                made.end()
    finally:
        target.stop()


@pytest.fixture
def client(portal: OneTarget) -> Iterator[AutomationClient]:
    (portal.target.home / "journal").unlink(missing_ok=True)
    with AutomationClient(portal.address, portal.token, timeout=3) as made:
        yield made


def journal(portal: OneTarget) -> list[str]:
    """The steps that ran on the target, in that order."""
    file = portal.target.home / "journal"
    return file.read_text().split() if file.exists() else []


def begin(portal: OneTarget, client: AutomationClient) -> Run:
    """A run whose first step has begun."""
    run = client.submit(WORKFLOW, targets="group:web")
    wait_until(lambda: journal(portal), seconds=60, what="nothing has begun")
    return run


def assert_once_and_whole(portal: OneTarget, client: AutomationClient, run: Run) -> None:
    assert client.wait(run.id, timeout=90).status == "succeeded", list(client.results(run.id))
    assert journal(portal) == STEPS
    numbers = [event.seq for event in client.events(run.id)]
    assert numbers == list(range(1, len(numbers) + 1))
    for step in STEPS:
        told = b"".join(client.logs(run.id, "web1", step))
        assert told == b"x" * OUTPUT


def test_a_full_disk_makes_a_run_wait_and_nothing_is_lost(
    portal: OneTarget, client: AutomationClient
) -> None:
    run = begin(portal, client)
    with full(portal.data):
        wait_until(lambda: "disk is full" in portal.portal.output(), seconds=30, what="nobody noticed")
        with pytest.raises(ServiceFailedError) as refused:
            client.submit(WORKFLOW, targets="group:web", parameters={"text": "x" * 200_000})
        assert (refused.value.status, refused.value.code) == (503, "database.away")
        assert "the portal's disk is full" in refused.value.detail
        assert not client.status(run.id).final
    assert_once_and_whole(portal, client, run)


def test_a_database_that_others_hold_makes_a_run_wait_and_nothing_is_lost(
    portal: OneTarget, client: AutomationClient
) -> None:
    run = begin(portal, client)
    with locked(portal.data / "opsportal.sqlite3"):
        time.sleep(BUSY_SECONDS + 2)
        assert not client.status(run.id).final
    assert_once_and_whole(portal, client, run)
