"""Runbooks with PowerShell bodies on a simulated Windows target: they are really executed, by what it plays.

What a real powershell.exe makes of them is not shown here.
"""

from __future__ import annotations

from typing import Any

import pytest

from aiworkflows.planners.runbooks import load_runbooks
from automation.definitions.query import parse
from automation.definitions.schema import BODY_KINDS, read_workflow
from automation.models import JobRun, StepResult
from automation.submit import Submission, submit
from opsportal.simulated_windows import SimulatedWindows
from opsportal.simulated_windows.console import Console
from tests.workers.spine import Spine
from tests.workers.test_windows_runs import output_of
from tests.workers.windows import WindowsFleet

RUNBOOKS = load_runbooks()
FOR_WINDOWS = {
    name
    for name, runbook in RUNBOOKS.items()
    if any(
        "powershell" in (step.get(kind) or {}) for step in runbook.definition["steps"] for kind in BODY_KINDS
    )
}


@pytest.fixture
def simulated(windows: WindowsFleet) -> SimulatedWindows:
    return windows.add("win01")


def carried_out(spine: Spine, name: str, **parameters: Any) -> JobRun:
    workflow = read_workflow(RUNBOOKS[name].definition, origin=name)
    run = submit(
        Submission(
            workflow=workflow, query=parse("name:win01"), submitter=spine.person, parameters=parameters
        )
    )
    spine.drain()
    run.refresh_from_db()
    return run


def outputs(run: JobRun) -> dict[str, str]:
    found: dict[str, str] = {}
    for result in StepResult.objects.filter(run=run).order_by("step_index"):
        found |= result.outputs
    return found


def changes(simulated: SimulatedWindows) -> list[tuple[str, str]]:
    """What was done to services and sites, in order."""
    effects = [(effect.kind, effect.what) for effect in simulated.machine.effects]
    return [each for each in effects if each[0].startswith(("service ", "site "))]


GOOD: list[tuple[str, dict[str, Any], str, str]] = [
    ("check-service", {"service": "Spooler"}, "check the service", "DisplayName : Print Spooler"),
    ("start-service", {"service": "BITS"}, "record the state", "Status      : Stopped"),
    ("stop-service", {"service": "Spooler"}, "record the state", "Status      : Running"),
    ("restart-service", {"service": "W3SVC"}, "record the state", "Status      : Running"),
    ("disk-usage", {}, "show disk usage", "C:     System                100.0       40.0      60"),
    ("logged-in-users", {}, "show who is logged in", "administrator"),
    ("collect-facts", {}, "collect facts", "reboot_needed=no"),
    ("installed-updates", {}, "show the installed updates", "KB5000002"),
    ("tail-event-log", {"lines": 2}, "show the newest events", "Service Control Manager 7031  The BITS"),
    ("restart-iis-site", {"site": "shop"}, "record the state", "State        : Started"),
    ("reboot", {}, "record what runs", "Up since"),
]


def test_every_runbook_for_windows_is_carried_out_here() -> None:
    assert {name for name, *_ in GOOD} | {"update-application"} == FOR_WINDOWS


@pytest.mark.parametrize(("name", "parameters", "step", "printed"), GOOD, ids=lambda given: str(given)[:20])
def test_a_runbook_does_its_work_on_windows(
    spine: Spine, simulated: SimulatedWindows, name: str, parameters: dict[str, Any], step: str, printed: str
) -> None:
    run = carried_out(spine, name, **parameters)
    assert run.status == "succeeded", list(
        StepResult.objects.filter(run=run).values("step", "code", "message")
    )
    assert printed in output_of(run, "win01", step).decode()


def test_what_changes_is_changed_once_and_verified(spine: Spine, simulated: SimulatedWindows) -> None:
    for name, given in (("stop-service", "Spooler"), ("start-service", "BITS"), ("restart-service", "W3SVC")):
        run = carried_out(spine, name, service=given)
        assert StepResult.objects.get(run=run, step_index=1).verified is True
    carried_out(spine, "restart-iis-site", site="default web site")
    assert changes(simulated) == [
        ("service stopped", "Spooler"),
        ("service started", "BITS"),
        ("service restarted", "W3SVC"),
        ("site stopped", "Default Web Site"),
        ("site started", "Default Web Site"),
    ]


@pytest.mark.parametrize(
    ("name", "parameters", "exit_code"),
    [
        ("check-service", {"service": "BITS"}, 3),  # it is not running
        ("check-service", {"service": "nobody"}, 1),
        ("stop-service", {"service": "WinRM"}, 64),  # nobody would come back in
        ("restart-iis-site", {"site": "no such site"}, 66),
        ("tail-event-log", {"log": "NoSuchLog"}, 1),
    ],
)
def test_what_cannot_be_done_ends_the_first_step_and_changes_nothing(
    spine: Spine, simulated: SimulatedWindows, name: str, parameters: dict[str, Any], exit_code: int
) -> None:
    run = carried_out(spine, name, **parameters)
    first = StepResult.objects.get(run=run, step_index=0)
    assert (run.status, first.state, first.exit_code) == ("failed", "failed", exit_code)
    assert not changes(simulated)


def test_a_pending_restart_is_told_until_the_target_was_restarted(
    spine: Spine, simulated: SimulatedWindows
) -> None:
    simulated.machine.reboot_pending = True
    assert outputs(carried_out(spine, "collect-facts"))["reboot_needed"] == "yes"
    assert carried_out(spine, "reboot").status == "succeeded"
    assert outputs(carried_out(spine, "collect-facts"))["reboot_needed"] == "no"


def test_a_site_that_does_not_come_up_is_put_back(
    spine: Spine, simulated: SimulatedWindows, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = simulated.machine
    set_site, tries = machine.set_site, [0]

    def stubborn(name: str, state: str) -> bool:
        # The first start is without effect, as with a broken configuration.
        tries[0] += state == "Started"
        return True if (state, tries[0]) == ("Started", 1) else set_site(name, state)

    monkeypatch.setattr(machine, "set_site", stubborn)
    run = carried_out(spine, "restart-iis-site", site="shop")
    result = StepResult.objects.get(run=run, step_index=1)
    assert (run.status, result.verified, result.undone) == ("failed", False, True)
    assert machine.sites["shop"] == "Started"


class Winget:
    """What the bodies of update-application yield.

    Neither winget nor scheduled tasks are played on the target, so this shows how the runbook's parts hang
    together, and nothing of what is in them.
    """

    def __init__(self, simulated: SimulatedWindows, *, installs: str) -> None:
        self.version, self.installs = "24.07", installs
        self.machine = simulated.machine
        simulated.script("winget knows no", play=self.record)
        simulated.script("UPDATE_NOT_APPLICABLE", play=self.upgrade)
        simulated.script("still to be installed", play=self.verify)
        simulated.script("--force --version", play=self.put_back)

    def record(self, console: Console) -> int:
        self.machine.write(console.environment["OPSPORTAL_OUTPUT"], f"version={self.version}\r\n")
        return 0

    def upgrade(self, console: Console) -> int:
        self.version = self.installs
        return 0

    def verify(self, console: Console) -> int:
        console.out(f"{console.parameters['application']} is at {self.version}")
        wanted = "24.07" if console.environment.get("OPSPORTAL_PHASE") == "undo" else "24.08"
        return int(self.version != wanted)

    def put_back(self, console: Console) -> int:
        self.version = console.parameters["OUTPUT_version"]
        return 0


def test_an_application_is_updated_and_verified(spine: Spine, simulated: SimulatedWindows) -> None:
    winget = Winget(simulated, installs="24.08")
    run = carried_out(spine, "update-application", application="7zip.7zip")
    assert (run.status, winget.version) == ("succeeded", "24.08")
    assert "7zip.7zip is at 24.08" in output_of(run, "win01", "update").decode()
    assert outputs(run) == {"version": "24.07"}


def test_an_update_that_gave_another_version_is_put_back(spine: Spine, simulated: SimulatedWindows) -> None:
    winget = Winget(simulated, installs="broken")
    run = carried_out(spine, "update-application", application="7zip.7zip")
    result = StepResult.objects.get(run=run, step_index=1)
    assert (run.status, result.verified, result.undone) == ("failed", False, True)
    assert winget.version == "24.07"
