"""Cancel and undo of a mixed run, by the API. Windows is simulated; all else is real."""

from __future__ import annotations

from aiworkflows.automation_client import AutomationClient
from tests.acceptance.windows.conftest import LINES
from tests.acceptance.windows.test_killed_worker import begin, printed

BREAK = {
    "name": "break",
    "rollout": {"canary": 0, "batches": ["100%"], "max_failures": 2, "on_failure": "undo"},
    "steps": [
        {
            "name": "break",
            "effect": "change",
            "run": {"bash": "exit 7", "powershell": "exit 7"},
            "undo": {"bash": "echo taken back", "powershell": "Write-Output 'taken back'"},
        }
    ],
}


def test_a_cancelled_mixed_run_ends_the_scripts_on_both_platforms(
    operator: AutomationClient, approver: AutomationClient
) -> None:
    run = begin(operator, approver)
    operator.cancel(run.id)
    assert operator.wait(run.id, timeout=60).status == "cancelled"
    assert {row.target: row.state for row in operator.results(run.id)} == {
        "target-001": "cancelled",
        "windows-1": "cancelled",
    }
    last = b"%d\n" % (LINES - 1)
    assert not any(output.endswith(last) for output in printed(operator, run).values())


def test_what_fails_on_both_platforms_is_undone_on_both(operator: AutomationClient) -> None:
    run = operator.wait(operator.submit(BREAK, targets="name:target-001 or name:windows-1").id, timeout=60)
    found = {row.target: (row.state, row.exit_code, row.undone) for row in operator.results(run.id)}
    assert found == {"target-001": ("failed", 7, True), "windows-1": ("failed", 7, True)}
    for target in found:
        assert b"".join(operator.logs(run.id, target, "break", body="undo")).strip() == b"taken back"
