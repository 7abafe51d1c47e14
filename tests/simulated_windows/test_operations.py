"""The life of shells and commands, asked for by pywinrm."""

from __future__ import annotations

from opsportal.simulated_windows import SimulatedWindows
from tests.simulated_windows.conftest import client, encoded, run


def test_a_registered_script_yields_what_was_registered(windows: SimulatedWindows) -> None:
    windows.script("inventory", stdout="Ω漢🙂\r\n", stderr="careful", exit_code=3)
    assert run(client(windows), encoded("inventory")) == ("Ω漢🙂\r\n".encode(), b"careful", 3)


def test_a_closed_shell_leaves_nothing_behind(windows: SimulatedWindows) -> None:
    windows.script("inventory", stdout="done")
    run(client(windows), encoded("inventory"))
    assert windows.shells == []
    assert [call.verb for call in windows.calls] == ["Create", "Command", "Receive", "Signal", "Delete"]
