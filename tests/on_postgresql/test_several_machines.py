"""Two web processes and two supervisors on one database: what one of them loses, the other carries on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from aiworkflows.client_types import Run
from tests.on_postgresql.machines import Machine, Site, site
from tests.opsportal.portal import wait_until

pytestmark = pytest.mark.slow
STEPS = [f"step-{number}" for number in range(1, 7)]
WORKFLOW = {
    "name": "write-it-down",
    "rollout": {"canary": 0, "batches": ["100%"], "max_parallel": 10},
    "steps": [
        {"name": name, "run": {"bash": f'echo {name} >> "$HOME/journal"; sleep 1; echo done'}}
        for name in STEPS
    ],
}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site"), targets=3) as made:
        yield made


@pytest.fixture(autouse=True)
def _empty_journals(two: Site) -> None:
    for target in two.targets:
        (target.home / "journal").unlink(missing_ok=True)


def begin(two: Site) -> Run:
    """A run that has got as far as the second step on every target."""
    with two.machines[0].client(two.token) as client:
        run = client.submit(WORKFLOW, targets="group:web")
    wait_until(
        lambda: all(STEPS[1] in written for written in two.journal()), seconds=90, what="nothing is done"
    )
    return run


def holder(two: Site, run: Run) -> str:
    ((owner,),) = two.ask("SELECT lease_owner FROM automation_shard WHERE run_id = %s", run.id)
    return str(owner)


def leases(two: Site, run: Run) -> int:
    """How many had the run's only shard, one after the other."""
    ((token,),) = two.ask("SELECT lease_token FROM automation_shard WHERE run_id = %s", run.id)
    return int(token)


def assert_once_and_whole(two: Site, machine: Machine, run: Run) -> None:
    """Each step was started once on each target, in order, and the story has no gap."""
    with machine.client(two.token) as client:
        ended = client.wait(run.id, timeout=150)
        assert ended.status == "succeeded", list(client.results(run.id))
        numbers = [event.seq for event in client.events(run.id)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert two.journal() == [STEPS] * len(two.targets)
    ends = two.ask(
        "SELECT count(*), count(DISTINCT a.result_id) FROM automation_attempt a JOIN automation_stepresult r"
        " ON r.id = a.result_id WHERE r.run_id = %s AND a.state = 'ended' AND a.exit_code = 0",
        run.id,
    )
    assert ends == [(len(STEPS) * len(two.targets),) * 2]


def test_while_the_database_is_away_the_scripts_go_on_and_afterwards_the_run_does(two: Site) -> None:
    run = begin(two)
    owner = holder(two, run)
    two.server.stop()
    stopped = time.monotonic()
    try:
        status, answer = two.machines[1].readiness()
        assert status == 503
        assert answer["checks"]["database"]["reason"] == "the database cannot be reached"
        time.sleep(max(0.0, 30 - (time.monotonic() - stopped)))
    finally:
        two.server.start()
    assert_once_and_whole(two, two.machines[1], run)
    assert holder(two, run) == owner, "somebody took over though the holder lived"
    assert leases(two, run) == 1


def test_a_machine_that_loses_its_power_loses_nothing_and_nothing_is_done_twice(two: Site) -> None:
    run = begin(two)
    owner = holder(two, run)
    (lost,) = (machine for machine in two.machines if owner in machine.worker_ids())
    (other,) = (machine for machine in two.machines if machine is not lost)
    lost.fail()
    assert_once_and_whole(two, other, run)
    assert holder(two, run) in other.worker_ids()
    assert leases(two, run) == 2
