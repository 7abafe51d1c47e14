"""A mixed run whose workers are killed while its scripts run. Windows is simulated; all else is real."""

from __future__ import annotations

import time

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_types import Run
from tests.acceptance.main_job.installation import Installation
from tests.acceptance.windows.conftest import LINES, PAUSE, SimulatedTarget, kill_workers
from tests.opsportal.portal import wait_until

COUNT = {
    "name": "count",
    "rollout": {"canary": 0, "batches": ["100%"], "max_failures": 0},
    "steps": [
        {
            "name": "count",
            "effect": "change",
            "timeout": "2m",
            "run": {
                "bash": f"for n in $(seq 0 {LINES - 1}); do sleep {PAUSE}; echo $n; done",
                "powershell": "Count-Slowly",
            },
        }
    ],
}
EXPECTED = b"".join(b"%d\n" % number for number in range(LINES))


def begin(operator: AutomationClient, approver: AutomationClient) -> Run:
    """The run, once its scripts have begun to print on both targets."""
    run = operator.submit(COUNT, targets="name:target-001 or name:windows-1")
    if run.status == "awaiting_approval":
        approver.approve(run.id, run.plan_hash, "looked at it")
    wait_until(lambda: all(printed(operator, run).values()), seconds=60, what="a target prints nothing")
    return run


def printed(client: AutomationClient, run: Run) -> dict[str, bytes]:
    results = list(client.results(run.id))
    return {result.target: b"".join(client.logs(run.id, result.target, result.step)) for result in results}


def test_killed_workers_leave_both_scripts_running_which_others_read_to_the_end(
    installation: Installation,
    operator: AutomationClient,
    approver: AutomationClient,
    simulated: SimulatedTarget,
) -> None:
    run = begin(operator, approver)
    time.sleep(2 * PAUSE)
    kill_workers(installation)
    ended = operator.wait(run.id, timeout=120)
    assert ended.status == "succeeded", list(operator.results(run.id))
    assert len(simulated.starts()) == 1
    found = printed(operator, run)
    assert found["target-001"] == EXPECTED
    # What an answer took along that the killed process never stored is nowhere else: told, and not repeated.
    incomplete = {event.code for event in operator.events(run.id)} & {"output.incomplete"}
    assert found["windows-1"] == EXPECTED or incomplete
    assert EXPECTED.endswith(found["windows-1"][-len(b"20\n21\n22\n23\n") :])
