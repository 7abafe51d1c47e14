"""The order on stdin, the guard file and the records, as the simulated target plays them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from typing import Any

import pytest

from opsportal.simulated_windows import Settings, SimulatedWindows
from tests.simulated_windows.conftest import EASY, Ran, client, encoded, run

BOOTSTRAP = encoded("# OpsPortal bootstrap 1\nthe rest is for a real Windows")
NONCE = "0123456789abcdef" * 2
ATTEMPT = "a" * 32
SPOOL = r"C:\Users\simulated\AppData\Local\OpsPortal\test"


def stdin_of(order: dict[str, Any]) -> bytes:
    text = json.dumps({"nonce": NONCE, "program": "", **order})
    head = f"OPSPORTAL 1 {len(text)} {hashlib.sha256(text.encode()).hexdigest().upper()}"
    return "\n".join([head, text[:10], text[10:], ""]).encode()


def bootstrap(target: SimulatedWindows, **order: Any) -> Ran:
    return run(client(target), BOOTSTRAP, stdin=stdin_of(order))


def records(stdout: bytes) -> list[str]:
    return re.findall(f"\x1e{NONCE} ([^\n]*)\n", stdout.decode())


def spool_id(target: SimulatedWindows) -> str:
    (probe,) = records(bootstrap(target, mode="probe", spool=None, installation="test")[0])
    return probe.split()[-1]


def changing(target: SimulatedWindows, attempt: str = ATTEMPT, **order: Any) -> list[str]:
    given = {"script": "Restart-Service Spooler", "spool": SPOOL, "spool_id": spool_id(target), "forget": []}
    return records(bootstrap(target, mode="run", attempt=attempt, **(given | order))[0])


def test_a_script_gets_its_values_by_name(windows: SimulatedWindows) -> None:
    stdout, stderr, code = bootstrap(
        windows,
        mode="plain",
        script='param($name)\n"$name is $count"; $env:PHASE',
        parameters={"name": "Ω漢🙂; exit 9", "count": 3},
        environment={"PHASE": "check"},
    )
    assert stdout.decode() == (f"\x1e{NONCE} BEGIN\nΩ漢🙂; exit 9 is 3\r\ncheck\r\n\x1e{NONCE} END 0 -\n")
    assert (stderr, code) == (b"", 0)
    assert windows.played[-1].parameters["count"] == 3


@pytest.mark.parametrize(
    ("script", "end", "code"),
    [
        ("exit 7", "END - -", 7),
        ("throw 'no'", "END 1 -", 1),
        ("Get-Service nobody; 'never'", "END 1 -", 1),
        ("'x'", "END 0 -", 0),
    ],
)
def test_the_end_of_a_script_is_told(script: str, end: str, code: int, windows: SimulatedWindows) -> None:
    stdout, _, exit_code = bootstrap(windows, mode="plain", script=script)
    assert (records(stdout), exit_code) == (["BEGIN", end], code)


def test_outputs_of_a_script_are_handed_back(windows: SimulatedWindows) -> None:
    script = "Add-Content $env:OPSPORTAL_OUTPUT 'version=2'"
    end = records(bootstrap(windows, mode="plain", script=script)[0])[-1].split()
    assert base64.b64decode(end[2]) == b"version=2\r\n"


def test_a_changed_order_starts_nothing(windows: SimulatedWindows) -> None:
    stdin = stdin_of({"mode": "plain", "script": "Restart-Service Spooler"}).replace(b"Spooler", b"W3SVC")
    assert run(client(windows), BOOTSTRAP, stdin=stdin) == (b"", b"", 91)
    assert windows.machine.effects == []


def test_an_attempt_starts_once(windows: SimulatedWindows) -> None:
    assert changing(windows) == ["BEGIN", "END 0 -"]
    assert changing(windows) == ["REFUSED exists"]
    assert windows.machine.count("service restarted") == 1


def test_of_many_who_start_the_same_attempt_one_does(windows: SimulatedWindows) -> None:
    told: list[list[str]] = []
    known = spool_id(windows)
    threads = [
        threading.Thread(target=lambda: told.append(changing(windows, spool_id=known))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == [["BEGIN", "END 0 -"], *[["REFUSED exists"]] * 7]
    assert windows.machine.count("service restarted") == 1


def test_a_fenced_attempt_never_starts(windows: SimulatedWindows) -> None:
    known = spool_id(windows)
    (fenced,) = records(bootstrap(windows, mode="reclaim", attempt=ATTEMPT, spool=SPOOL)[0])
    assert fenced.startswith("FENCED 1 ") and fenced.endswith(known)
    assert changing(windows) == ["REFUSED fenced"]
    assert windows.machine.count("service restarted") == 0


def test_a_reclaim_finds_what_became_of_an_attempt(windows: SimulatedWindows) -> None:
    def found() -> list[str]:
        return records(bootstrap(windows, mode="reclaim", attempt=ATTEMPT, spool=SPOOL)[0])

    windows.script("long work", hang=True)
    protocol = client(windows)
    shell = protocol.open_shell()
    command = protocol.run_command(shell, BOOTSTRAP)
    order = {"mode": "run", "attempt": ATTEMPT, "spool": SPOOL, "spool_id": spool_id(windows)}
    protocol.send_command_input(shell, command, stdin_of({**order, "script": "long work"}), end=True)
    assert b"BEGIN" in protocol.get_command_output_raw(shell, command)[0]
    assert found() == ["FOUND running -"]
    protocol.close_shell(shell)
    assert found() == ["FOUND lost -"]
    windows.machine.boot_id += 1
    assert found() == ["FOUND rebooted -"]
    changing(windows, "b" * 32)
    (ended,) = records(bootstrap(windows, mode="reclaim", attempt="b" * 32, spool=SPOOL)[0])
    assert ended == "FOUND ended 0"


def test_a_spool_that_is_gone_or_another_starts_nothing(windows: SimulatedWindows) -> None:
    known = spool_id(windows)
    windows.machine.remove_folder(SPOOL)
    assert changing(windows, spool_id=known) == ["REFUSED spool.changed"]
    windows.machine.remove_folder(SPOOL)
    order = {"mode": "run", "attempt": ATTEMPT, "spool": SPOOL, "spool_id": known, "script": "hostname"}
    assert records(bootstrap(windows, **order)[0]) == ["REFUSED spool.missing"]
    (told,) = records(bootstrap(windows, mode="reclaim", attempt=ATTEMPT, spool=SPOOL)[0])
    assert told == "REFUSED spool.unusable"


def test_an_attempt_that_is_forgotten_leaves_no_guard_file(windows: SimulatedWindows) -> None:
    changing(windows)
    changing(windows, "b" * 32, forget=[ATTEMPT])
    assert windows.machine.read(f"{SPOOL}\\{ATTEMPT}.guard") is None


def test_another_bootstrap_is_not_played(windows: SimulatedWindows) -> None:
    _, stderr, code = run(client(windows), encoded("# OpsPortal bootstrap 2"))
    assert (code, b"bootstrap 1 only" in stderr) == (1, True)


def test_guard_files_outlive_a_restart() -> None:
    with SimulatedWindows(Settings(logins=EASY)) as target:
        assert changing(target) == ["BEGIN", "END 0 -"]
        target.stop()
        target.start()
        assert changing(target) == ["REFUSED exists"]
        assert target.machine.count("service restarted") == 1
