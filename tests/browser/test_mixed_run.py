"""One run on a real Linux host and on a simulated Windows target, as its page shows it while it goes on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from opsportal.simulated_windows import Settings, SimulatedWindows
from opsportal.simulated_windows.console import Console
from tests.acceptance.main_job.installation import Installation
from tests.browser.live_page import RunPage
from tests.browser.stage import Shots, Stage
from tests.browser.test_run_page import open_gate
from tests.browser.work import Desk, gated
from tests.hosts.client import Hosts

NAME = "simulated-1"


class Gated:
    """What the script does there: it says two lines, the second one when it is let on."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    def play(self, console: Console) -> int:
        console.out("Windows begins")
        while not self.gate.wait(0.05):
            console.sleep(0.05)
        console.out("Windows is done")
        return 0


@pytest.fixture
def simulated(installation: Installation) -> Iterator[SimulatedWindows]:
    with SimulatedWindows(Settings()) as target:
        entry = {
            "name": NAME,
            "address": target.host,
            "port": target.port,
            "platform": "windows",
            "transport": "winrm",
            "winrm": {"method": "ntlm", "https": False},
            "user": "ops",
            "password": "Simulated-1",
            "groups": ["mixed"],
            "tags": ["simulated"],
        }
        file = installation.data / "simulated.json"
        file.write_text(json.dumps({"hosts": [entry]}))
        installation.manage("import_inventory", str(file))
        yield target


def test_a_mixed_run_is_followed_on_one_page(
    stage: Stage,
    desk: Desk,
    web_servers: Hosts,
    simulated: SimulatedWindows,
    shot: Shots,
) -> None:
    played = Gated()
    simulated.script("the Windows part", play=played.play)
    bodies = {
        "bash": gated("/tmp/mixed", "Linux begins", "Linux is done"),
        "powershell": "# the Windows part",
    }
    step = {"name": "work", "effect": "read", "run": bodies}
    run = desk.submit(step, targets=f"name:web1 or name:{NAME}", rollout={"canary": 0, "batches": ["100%"]})
    page = RunPage(stage.page("operator"), run.id).open(f"?target={NAME}&step=work")
    page.expect_line("Windows begins")
    assert sorted(page.names) == [NAME, "web1"]
    assert desk.status(run.id) == "running"
    expect(page.page.get_by_text("Windows is done", exact=True)).to_have_count(0)
    shot(page.page, "run-mixed-live")
    played.gate.set()
    page.expect_line("Windows is done")
    open_gate(web_servers, "/tmp/mixed", "web1")
    page.expect_status("succeeded")
    page.open("?target=web1&step=work").expect_line("Linux is done")
    shot(page.page, "run-mixed")
    page.expect_whole_story(desk.seqs(run.id)[-1])
    assert simulated.machine.count("script started") == 1


def test_what_fails_on_windows_is_on_top_with_its_error(
    stage: Stage, desk: Desk, web_servers: Hosts, simulated: SimulatedWindows, shot: Shots
) -> None:
    bodies = {"bash": "true", "powershell": "Write-Output 'looking'; Get-Service -Name nobody"}
    run = desk.submit({"name": "look", "effect": "read", "run": bodies}, targets=f"name:web1 or name:{NAME}")
    assert desk.wait(run.id) == "partial"
    page = RunPage(stage.page("viewer"), run.id).open()
    assert page.names[0] == NAME
    expect(page.page.locator("#log-live")).to_contain_text(
        "Cannot find any service with service name 'nobody'."
    )
    shot(page.page, "run-mixed-failed")
