"""The portal's disk is full, or somebody else holds its database: work waits, goes on, and is done once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_errors import ServiceFailedError
from aiworkflows.client_types import Run
from tests.bad_input.small_disk import SmallDisk, definition, portal_on_a_small_disk
from tests.opsportal.portal import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.sqlite, pytest.mark.hosts]
STEPS = [f"s{number}" for number in range(1, 4)]
OUTPUT = 200_000
WORKFLOW: dict[str, Any] = json.loads(definition(len(STEPS), output=OUTPUT))
BUSY_SECONDS = 20.0
"""How long a statement waits for somebody else's transaction."""


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    with portal_on_a_small_disk(tmp_path_factory.mktemp("small")) as made:
        yield made


@pytest.fixture
def client(portal: SmallDisk) -> Iterator[AutomationClient]:
    (portal.target.home / "journal").unlink(missing_ok=True)
    with AutomationClient(portal.address, portal.token, timeout=3) as made:
        yield made


def begin(portal: SmallDisk, client: AutomationClient) -> Run:
    """A run whose first step has begun."""
    run = client.submit(WORKFLOW, targets="group:web")
    wait_until(lambda: portal.journal, seconds=60, what="nothing has begun")
    return run


def assert_once_and_whole(portal: SmallDisk, client: AutomationClient, run: Run) -> None:
    assert client.wait(run.id, timeout=90).status == "succeeded", list(client.results(run.id))
    assert portal.journal == STEPS
    numbers = [event.seq for event in client.events(run.id)]
    assert numbers == list(range(1, len(numbers) + 1))
    for step in STEPS:
        told = b"".join(client.logs(run.id, "web1", step))
        assert len(told) == OUTPUT and len(set(told)) == 1


def test_a_full_disk_makes_a_run_wait_and_nothing_is_lost(
    portal: SmallDisk, client: AutomationClient
) -> None:
    run = begin(portal, client)
    with portal.full():
        wait_until(lambda: "disk is full" in portal.portal.output(), seconds=30, what="nobody noticed")
        with pytest.raises(ServiceFailedError) as refused:
            client.submit(WORKFLOW, targets="group:web", parameters={"text": "x" * 200_000})
        assert (refused.value.status, refused.value.code) == (503, "database.away")
        assert "the portal's disk is full" in refused.value.detail
        assert not client.status(run.id).final
    assert_once_and_whole(portal, client, run)


def test_a_database_that_others_hold_makes_a_run_wait_and_nothing_is_lost(
    portal: SmallDisk, client: AutomationClient
) -> None:
    run = begin(portal, client)
    with portal.locked():
        time.sleep(BUSY_SECONDS + 2)
        assert not client.status(run.id).final
    assert_once_and_whole(portal, client, run)
