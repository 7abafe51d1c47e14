"""What the simulated target plays of PowerShell, and that it says so where it plays nothing."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from psrpcore import PSRemotingCrypto
from psrpcore.types import deserialize_clixml

from opsportal.simulated_windows import Settings, SimulatedWindows
from opsportal.simulated_windows.clixml import CLOSING, HEADER, OPENING, record
from tests.simulated_windows.conftest import EASY, Ran, client, encoded, run, wait_for

Ask = Callable[[str], Ran]


@pytest.mark.parametrize(
    ("script", "stdout"),
    [
        ("Write-Output hi there", "hi\r\nthere\r\n"),
        ("'single $not ''quoted'''", "single $not 'quoted'\r\n"),
        ('$name = "Ω漢🙂"; "<$name> ${name}s `"x`" `$name"', '<Ω漢🙂> Ω漢🙂s "x" $name\r\n'),
        ("# a remark\nWrite-Host a b <# and another #> c", "a b c\n"),
        ("hostname", "SIMULATED-WIN\r\n"),
        ('"on $(hostname), $env:COMPUTERNAME"', "on SIMULATED-WIN, SIMULATED-WIN\r\n"),
        ("(Get-Service 'Print Spooler').Status", "Running\r\n"),
        ("$all = Get-Service; $all.Count", "5\r\n"),
        ("Get-Service Spooler | Select-Object Name, Status | ConvertTo-Json -Compress", None),
        ("'a', 'b' | Select-Object -First 1", "a\r\n"),
        ("Test-Path C:\\nothing", "False\r\n"),
        ("$true", "True\r\n"),
        ("Write-Output 1 | Out-Null; 2.5", "2.5\r\n"),
        ("if ('a' -eq 'A') { 'same' } else { 'other' }", "same\r\n"),
        ("if (1 -gt 2) { 'a' } elseif (2GB -ge 2000) { 'b' } else { 'c' }", "b\r\n"),
        ("if ('x', 'Y' -contains 'y' -and -not $null) { 'in' }", "in\r\n"),
        ("if (Get-Command nothing -ErrorAction SilentlyContinue) { 'there' } else { 'not' }", "not\r\n"),
        ('$n = 7 - 2 * 3; "<$n>"', "<1>\r\n"),
        ("'{0,-4}|{1,6:N1}|{2}' -f 'a', 1234.55, 'b'", "a   |1,234.5|b\r\n"),
        ("'b', 'c', 'a' | Sort-Object | ForEach-Object { \"[$_]\" }", "[a]\r\n[b]\r\n[c]\r\n"),
        (
            "Get-Service | Where-Object { $_.Status -ne 'Running' } | ForEach-Object { $_.Name }",
            "wuauserv\r\nBITS\r\n",
        ),
        ("' A '.Trim().ToLower()", "a\r\n"),
    ],
)
def test_a_script_is_played(script: str, stdout: str | None, ask: Ask) -> None:
    expected = stdout if stdout is not None else '{"Name":"Spooler","Status":"Running"}\r\n'
    assert ask(script) == (expected.encode(), b"", 0)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 5", 5),
        ("exit -1", 0xFFFFFFFF),
        ("throw 'no'", 1),
        ("Write-Error bad", 1),
        ("Write-Error bad; 'after'", 0),
        ("$ErrorActionPreference = 'Stop'; Write-Error bad; 'after'", 1),
        ("Get-Service nobody -ErrorAction SilentlyContinue; exit 0", 0),
        ("'done'", 0),
    ],
)
def test_exit_codes_are_those_of_powershell(script: str, code: int, ask: Ask) -> None:
    assert ask(script)[2] == code


@pytest.mark.parametrize(
    "script",
    [
        "Get-Process",
        "if ($true) { Get-Process }",
        "if ($true) { 'x' ",
        "foreach ($x in 1..3) { $x }",
        "[int]'3'",
        "'a' -bxor 'b'",
        "Restart-Service Spooler; 'a' | ForEach-Object { Get-Process }",
        "$x.ToUpper()",
        "& 'C:\\program.exe'",
        "Restart-Service Spooler; Invoke-Expression 'x'",
        "Restart-Service Spooler; Start-Sleep -Hours 3",
        "Restart-Service Spooler; Get-Date now today",
        "'unfinished",
        "}{",
    ],
)
def test_anything_else_is_plainly_said_not_to_be_emulated(
    script: str, ask: Ask, windows: SimulatedWindows
) -> None:
    stdout, stderr, code = ask(script)
    assert (stdout, code) == (b"", 1)
    assert b"The simulated Windows target does not emulate: " in stderr
    assert windows.machine.effects == []


def test_an_unknown_program_is_not_emulated_either(windows: SimulatedWindows) -> None:
    _, stderr, code = run(client(windows), "defrag c:")
    assert (code, b"does not emulate: defrag" in stderr) == (1, True)


def test_services_keep_their_state_over_commands(ask: Ask, windows: SimulatedWindows) -> None:
    ask("Stop-Service -Name Spooler -Force")
    assert ask("(Get-Service Spooler).Status")[0] == b"Stopped\r\n"
    ask("Get-Service Spooler | Start-Service")
    assert ask("Get-Service Spooler | Select-Object -ExpandProperty Status")[0] == b"Running\r\n"
    ask("Restart-Service W3SVC, WinRM")
    assert [(effect.kind, effect.what) for effect in windows.machine.effects] == [
        ("service stopped", "Spooler"),
        ("service started", "Spooler"),
        ("service restarted", "W3SVC"),
        ("service restarted", "WinRM"),
    ]


def test_an_unknown_service_is_an_error_record(ask: Ask) -> None:
    _, stderr, code = ask("Get-Service nobody")
    assert code == 1
    assert b"Cannot find any service with service name 'nobody'." in stderr


def test_a_new_file_can_be_made_once(ask: Ask) -> None:
    assert ask("New-Item -Path C:\\once -ItemType File")[2] == 0
    _, stderr, code = ask("New-Item -Path c:\\ONCE -ItemType File")
    assert (code, b"already exists" in stderr) == (1, True)
    ask("Remove-Item C:\\once")
    assert ask("New-Item C:\\once")[2] == 0


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        ("quser", "administrator"),
        ("Get-HotFix", "KB5000001"),
        ("Get-PSDrive C", "42949672960"),
        ("Get-CimInstance Win32_OperatingSystem", "OpsPortal simulated Windows"),
        ("(Get-CimInstance -ClassName Win32_LogicalDisk).FreeSpace", "42949672960"),
    ],
)
def test_a_machine_can_be_asked_what_it_is(script: str, shown: str, ask: Ask) -> None:
    stdout, _, code = ask(script)
    assert (shown in stdout.decode(), code) == (True, 0)


def listens(target: SimulatedWindows) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((target.host, target.port)) == 0


def test_restart_computer_restarts_it() -> None:
    with SimulatedWindows(Settings(logins=EASY, reboot_seconds=0.2)) as target:
        before = target.machine.boot_id
        client(target).open_shell()
        assert run(client(target), encoded("Restart-Computer -Force"))[2] == 0
        wait_for(lambda: target.connections == 0)  # counted anew by the one that listens after the restart
        wait_for(lambda: listens(target))
        assert target.shells == []
        assert target.machine.boot_id == before + 1
        assert target.machine.uptime < 5
        assert run(client(target), "hostname")[2] == 0


def test_other_streams_come_over_stderr_as_clixml(ask: Ask) -> None:
    script = "Write-Warning low; Write-Verbose 'more Ω' -Verbose; Write-Error bad; Write-Output out"
    stdout, stderr, _ = ask(script)
    assert stdout == b"out\r\n"
    assert stderr.startswith(b"#< CLIXML\r\n<Objs ")
    assert '<S S="warning">low_x000D__x000A_</S><S S="verbose">more Ω_x000D__x000A_</S>' in stderr.decode()


def test_called_by_command_errors_are_text(windows: SimulatedWindows) -> None:
    _, stderr, _ = run(client(windows), 'powershell -Command "Write-Error bad"')
    assert stderr.startswith(b"Write-Error bad : bad\n")


@pytest.mark.parametrize("text", ["plain", "a_x000D_b", "tab\tbell\x07", "🙂 <&>", "ö\x85"])
def test_clixml_is_read_by_an_independent_reader(text: str) -> None:
    written = HEADER + OPENING + record("error", text) + record("verbose", text) + CLOSING
    assert read(written) == {"ERROR": [text + "\r\n"], "VERBOSE": [text + "\r\n"]}


def read(clixml: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for value, stream in deserialize_clixml(clixml, PSRemotingCrypto(), preserve_streams=True):
        found.setdefault(stream.name, []).append(str(value))
    return found
