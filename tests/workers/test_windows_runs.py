"""Runs on Windows targets. The targets are simulated: WinRM is real, Windows and PowerShell are played."""

from __future__ import annotations

import textwrap
import threading

import pytest

from automation import decide
from automation.definitions.schema import load_workflow
from automation.models import Attempt, JobRun, Target, TargetLock
from automation.plan import PlanError
from automation.workers.draining import DRAINING
from credentials.secret import Secret
from opsportal.simulated_windows import Break, Piece
from tests.api.conftest import session
from tests.workers.spine import Spine
from tests.workers.test_reconcile import ask_again, lose
from tests.workers.windows import WindowsFleet, login

CHANGE = """
    name: change
    parameters: {word: {type: string, default: "it's Ω"}, secret: {type: secret, required: false}}
    rollout: {canary: 0, on_failure: undo}
    steps:
      - name: change
        timeout: 20s
        run: {bash: 'echo "$word"; echo "seen=$word" >> "$OPSPORTAL_OUTPUT"', powershell: 'PLAYED'}
        undo: {bash: 'true', powershell: 'Write-Output "undone $env:OPSPORTAL_PHASE"'}
      - name: look
        effect: read
        run: {bash: 'echo "$OUTPUT_seen"', powershell: 'Write-Output $OUTPUT_seen'}
"""
WRITES = """Write-Output $word; Add-Content -Path $env:OPSPORTAL_OUTPUT -Value "seen=$word\""""


def change(script: str = WRITES) -> str:
    return CHANGE.replace("PLAYED", script.replace("'", "''"))


def output_of(run: JobRun, target: str, step: str = "change") -> bytes:
    chunks = Attempt.objects.filter(result__run=run, result__step=step, result__run_target__name=target)
    return b"".join(bytes(chunk.data) for attempt in chunks for chunk in attempt.chunks.all())


def test_linux_and_simulated_windows_succeed_in_one_run(spine: Spine, windows: WindowsFleet) -> None:
    spine.add_targets("linux-1")
    simulated = windows.add("windows-1")
    run = spine.run(change())
    assert spine.states(run) == {name: ["succeeded"] * 2 for name in ("linux-1", "windows-1")}
    assert run.status == "succeeded" and not TargetLock.objects.exists()
    for name in ("linux-1", "windows-1"):
        assert output_of(run, name).decode().strip() == "it's Ω"
        assert output_of(run, name, "look").decode().strip() == "it's Ω"
    assert not any(shell.commands for shell in simulated.shells)


def test_a_mixed_run_by_the_api_is_shown_on_one_page(spine: Spine, windows: WindowsFleet) -> None:
    spine.add_targets("linux-1")
    windows.add("windows-1")
    client = session(spine.person)
    definition = load_workflow(textwrap.dedent(change())).canonical()
    asked = client.post("/api/v1/runs/", {"definition": definition, "targets": "group:web"})
    assert asked.status_code == 201, asked.content
    spine.drain()
    told = client.get(asked.json()["links"]["self"]).json()
    assert (told["status"], told["blast_radius"]["by_platform"]) == ("succeeded", {"linux": 1, "windows": 1})
    page = client.get(f"/runs/{told['id']}/")
    assert page.status_code == 200
    assert all(name in page.content.decode() for name in ("linux-1", "windows-1"))


def test_a_failed_change_on_windows_is_undone(spine: Spine, windows: WindowsFleet) -> None:
    windows.add("windows-1")
    run = spine.run(change("exit 200"))
    result = run.results.get(step="change")
    assert (result.state, result.exit_code, result.undone) == ("failed", 200, True)
    assert result.message == "Exit status 200."
    assert b"undone undo" in output_of(run, "windows-1")


def test_a_secret_reaches_powershell_and_is_masked_in_its_output(spine: Spine, windows: WindowsFleet) -> None:
    simulated = windows.add("windows-1")
    run = spine.run(change("Write-Output $secret"), parameters={"secret": "very-secret-word"})
    assert simulated.played[0].parameters["secret"] == "very-secret-word"
    assert b"very-secret-word" not in output_of(run, "windows-1")


def test_a_script_that_takes_too_long_is_ended_on_windows(spine: Spine, windows: WindowsFleet) -> None:
    windows.add("windows-1").script("Hang-Here", hang=True)
    run = spine.run(change("Hang-Here").replace("20s", "1s"))
    assert run.results.get(step="change").state == "timed_out"
    assert not TargetLock.objects.exists()


def test_a_lost_connection_is_read_on_and_the_script_ran_once(spine: Spine, windows: WindowsFleet) -> None:
    simulated = windows.add("windows-1")
    simulated.script("Change-It", pieces=[Piece(b"one\n"), Piece(b"two\n", after=0.5)])
    simulated.inject(Break.DROP, "Receive", times=8, skip=6)
    run = spine.run(change("Change-It"))
    assert run.results.get(step="change").state == "succeeded"
    assert [played.script for played in simulated.played].count("Change-It") == 1


def test_a_script_goes_on_while_its_worker_is_replaced_and_runs_once(
    spine: Spine, windows: WindowsFleet
) -> None:
    simulated = windows.add("windows-1")
    pieces = [Piece(b"%d\n" % number, after=0.4) for number in range(8)]
    simulated.script("Change-It", pieces=pieces)
    leave, come = threading.Timer(1.0, DRAINING.set), threading.Timer(1.8, DRAINING.clear)
    leave.start()
    come.start()
    try:
        run = spine.run(change("Change-It"))
    finally:
        come.join()
    assert run.results.get(step="change").state == "succeeded"
    assert [played.script for played in simulated.played].count("Change-It") == 1
    assert output_of(run, "windows-1").endswith(b"7\n")
    assert "output.incomplete" in {event.data.get("code") for event in run.events.all()}


def test_a_cancelled_script_is_ended_by_the_worker_that_found_it(spine: Spine, windows: WindowsFleet) -> None:
    simulated = windows.add("windows-1")
    simulated.script("Hang-Here", hang=True)
    run = spine.submit(change("Hang-Here"))
    leave = threading.Timer(1.5, DRAINING.set)
    leave.start()
    while not DRAINING.is_set() and spine.take_one():
        pass
    leave.join()
    DRAINING.clear()
    assert Attempt.objects.get().state == "running"
    decide.cancel(run.pk, by=spine.person)
    spine.drain()
    run.refresh_from_db()
    assert (run.status, run.results.get(step="change").state) == ("cancelled", "cancelled")
    assert not any(shell.commands for shell in simulated.shells) and not TargetLock.objects.exists()


def test_an_end_that_was_missed_is_found_by_the_guard_file(spine: Spine, windows: WindowsFleet) -> None:
    windows.add("windows-1")
    run = spine.run(change())
    attempt = lose(run, "windows-1")
    ask_again(attempt)
    assert (attempt.state, attempt.exit_code) == ("ended", 0)
    assert run.results.get(step="change").code == "outcome.reconciled"


def test_a_reboot_step_waits_until_windows_is_back(spine: Spine, windows: WindowsFleet) -> None:
    simulated = windows.add("windows-1")
    run = spine.run("{name: again, rollout: {canary: 0}, steps: [{name: again, reboot: {timeout: 30s}}]}")
    assert run.status == "succeeded", list(run.results.values_list("code", "message"))
    assert simulated.machine.count("restarted") == 1


def test_a_wrong_password_leaves_the_target_unreachable_and_nothing_sent(
    spine: Spine, windows: WindowsFleet
) -> None:
    simulated = windows.add("windows-1")
    login().set_secrets(password=Secret("wrong"))
    run = spine.run(change())
    assert spine.codes(run) == {"auth.failed", "step.earlier"}
    assert simulated.played == []


def test_a_powershell_body_is_asked_for_at_submission(spine: Spine, windows: WindowsFleet) -> None:
    windows.add("windows-1")
    with pytest.raises(PlanError, match="no run body for windows"):
        spine.submit("{name: x, steps: [{name: s, run: {bash: 'true'}}]}")


def test_a_name_that_powershell_needs_itself_is_refused_at_submission(
    spine: Spine, windows: WindowsFleet
) -> None:
    windows.add("windows-1")
    Target.objects.update(variables={"order": "7"})
    with pytest.raises(PlanError, match="PowerShell needs the name itself"):
        spine.submit(change())
