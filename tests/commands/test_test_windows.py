"""`test_windows`: the self-test of a Windows target, here on a simulated one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from automation.models import Group, Target
from credentials.models import Credential
from credentials.secret import Secret
from opsportal.simulated_windows import Piece, SimulatedWindows
from tests.commands.conftest import Run

NTLM = ("--http", "--method", "ntlm")


@pytest.fixture
def windows() -> Iterator[SimulatedWindows]:
    with SimulatedWindows() as target:
        # Told apart: no PowerShell runs here, so what only a real one could do is registered.
        target.script("GetType", stdout="Int32\r\nBoolean\r\n2\r\n")
        target.script("exit 5", exit_code=5)
        target.script("Start-Process", stdout="4711\r\n", hang=True)
        target.script("Get-Process -Id", stdout="")
        target.script("Start-Sleep -Seconds 2", pieces=[Piece(b"one\n"), Piece(b"two\n", after=1.2)])
        target.script("Start-Sleep -Seconds 4", pieces=[Piece(b"one\n")], seconds=0.5, exit_code=6)
        yield target


@pytest.fixture
def row(db: None, windows: SimulatedWindows) -> Target:
    credential = Credential.objects.create(name="win", kind="password", username="ops")
    credential.set_secrets(password=Secret("Simulated-1"))
    return Target.objects.create(
        name="WIN-1",
        address="127.0.0.1",
        port=windows.port,
        platform="windows",
        transport="winrm",
        credential=credential,
    )


def test_each_thing_that_was_tried_is_told_and_reported(run: Run, row: Target, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    out, _ = run("test_windows", "win-1", *NTLM, "--json", str(report))
    assert "FAIL" not in out and "does all that was tried" in out
    told = json.loads(report.read_text())
    assert len(told["checks"]) == 12 and all(check["ok"] for check in told["checks"])
    assert "WIN-1" not in report.read_text() and "Simulated-1" not in report.read_text()


def test_what_fails_is_named_and_the_command_fails(run: Run, row: Target, windows: SimulatedWindows) -> None:
    windows.script("exit 5", exit_code=0)
    with pytest.raises(CommandError, match="1 of 12 checks failed on WIN-1"):
        run("test_windows", "WIN-1", *NTLM)


def test_a_target_that_cannot_be_reached_is_not_tried_further(run: Run, row: Target) -> None:
    row.port = 9
    row.save(update_fields=["port"])
    with pytest.raises(CommandError, match="1 of 1 checks"):
        run("test_windows", "WIN-1", *NTLM)


@pytest.mark.parametrize("name", ["nobody", "WIN-1"])
def test_a_target_without_what_it_needs_is_named(run: Run, row: Target, name: str) -> None:
    Target.objects.update(credential=None)
    with pytest.raises(CommandError, match=r"no target|no credential"):
        run("test_windows", name)


def test_the_settings_and_the_login_are_those_of_the_inventory(run: Run, row: Target) -> None:
    group = Group.objects.create(name="windows", credential=row.credential)
    group.targets.add(row)
    Target.objects.update(credential=None, winrm={"method": "ntlm", "https": False})
    out, _ = run("test_windows", "WIN-1")
    assert "ntlm, messages encrypted" in out and "does all that was tried" in out


def test_a_method_that_the_credential_is_not_for_is_told_before_anything_is_sent(
    run: Run, row: Target, windows: SimulatedWindows
) -> None:
    with pytest.raises(CommandError, match="method is certificate, which takes a client certificate"):
        run("test_windows", "WIN-1", "--method", "certificate")
    assert not windows.calls


def test_a_file_that_does_not_come_back_whole_fails_the_check(
    run: Run, row: Target, windows: SimulatedWindows
) -> None:
    windows.script("# OpsPortal download 1", stdout="AAAA\r\n")
    with pytest.raises(CommandError, match="1 of 12 checks"):
        run("test_windows", "WIN-1", *NTLM)


def test_a_target_that_is_no_windows_is_refused(run: Run, row: Target) -> None:
    Target.objects.update(platform="linux", transport="ssh")
    with pytest.raises(CommandError, match="not reached over WinRM"):
        run("test_windows", "WIN-1")
