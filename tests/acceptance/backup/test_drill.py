"""The drill: back up a portal at work, restore it elsewhere, and nothing has run twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_errors import ConflictError
from tests.acceptance.main_job.installation import PASSWORD, Installation
from tests.libraries.sshd import Sshd
from tests.opsportal.portal import wait_until

TARGETS = 3
SCOPES = ("runs:read", "runs:submit", "inventory:read")


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Sshd]]:
    started = []
    for number in range(TARGETS):
        (tmp_path / f"sshd{number}").mkdir()
        started.append(Sshd(tmp_path / f"sshd{number}"))
    for server in started[1:]:
        server.authorize(started[0].folder / "login.pub")
    yield started
    for server in started:
        server.stop()


@pytest.fixture
def installations(tmp_path: Path) -> Iterator[list[Installation]]:
    made = [Installation(tmp_path / name) for name in ("first", "second")]
    yield made
    for each in made:
        each.portal.clean_up()


def inventory(servers: list[Sshd]) -> dict[str, Any]:
    return {
        "hosts": [
            {
                "name": f"web-{number}",
                "address": "127.0.0.1",
                "port": server.port,
                "user": "root",
                "private_key": str(servers[0].folder / "login"),
                "host_key": server.host_key(),
                "groups": ["web"],
                "environment": "test",
                "variables": {"me": f"web-{number}"},
            }
            for number, server in enumerate(servers)
        ]
    }


def counting(file: Path, gate: Path) -> dict[str, Any]:
    """A workflow that leaves a line for every start of every step; the second waits for the gate's file."""
    steps = [
        {"name": name, "effect": "change", "run": {"bash": f'echo "{name} $me" >> {file}\n{wait}'}}
        for name, wait in (("first", ""), ("second", f"until [ -e {gate} ]; do sleep 0.1; done"))
    ]
    rollout = {"canary": 0, "batches": ["100%"], "max_parallel": 2, "on_failure": "stop"}
    return {"name": "count", "rollout": rollout, "steps": steps}


def starts(file: Path) -> Counter[str]:
    return Counter(file.read_text().splitlines() if file.exists() else [])


def ends(client: AutomationClient, run: int) -> Counter[str]:
    """How many steps ended how."""
    return Counter(result.state for result in client.results(run))


def test_a_portal_restored_from_a_backup_under_load_runs_nothing_twice(
    installations: list[Installation], servers: list[Sshd], tmp_path: Path
) -> None:
    first, second = installations
    first.portal.start_and_wait()
    first.manage("create_user", "robot", "--role", "operator", "--password-stdin", stdin=f"{PASSWORD}\n")
    first.load(inventory(servers))
    token = first.token("robot", "person", *SCOPES)
    counter, gate = tmp_path / "starts", tmp_path / "gate"
    backup, keys = tmp_path / "portal.backup", tmp_path / "keys"
    with first.client(token) as client:
        run = client.submit(counting(counter, gate), targets="group:web").id
        wait_until(lambda: len(starts(counter)) == 4, seconds=60, what="the run has begun")
        first.manage("backup", str(backup), "--keys", str(keys))
        gate.touch()
        # The portal goes on for a while after its backup, and is then lost.
        assert client.wait(run, timeout=60).status == "succeeded"
    first.portal.clean_up()
    once = Counter({f"{step} web-{n}": 1 for step in ("first", "second") for n in range(TARGETS)})
    assert starts(counter) == once

    told = second.manage("restore", str(backup), "--keys", str(keys))
    assert "The portal is frozen" in told
    second.portal.start_and_wait()
    with second.client(token) as client:
        assert client.status(run).status == "errored"
        with pytest.raises(ConflictError) as refused:
            client.submit(counting(counter, gate), targets="group:web")
        assert refused.value.code == "portal.frozen"
        before = ends(client, run)
        assert before == Counter(succeeded=2, unknown=4)
        assert "Unfrozen" in second.manage("unfreeze")
        # What was on its way at the backup is asked for on its target, where the script ended long ago; of
        # the third target the backup knows no try.
        wait_until(
            lambda: ends(client, run) == Counter(succeeded=4, unknown=2),
            seconds=60,
            what="the two ends are found out",
        )
        assert starts(counter) == once
