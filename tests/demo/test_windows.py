"""The demo's simulated Windows target: its port, its login, its process."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

from cryptography.fernet import Fernet

from automation.libraries.windows.types import WindowsCredentials, WinRMEndpoint
from automation.libraries.windows_powershell import WindowsPowerShellLibrary
from credentials.secret import Secret
from opsportal.demo.windows import make_windows, read_windows
from tests.opsportal.portal import MANAGE, free_port, product_environment, wait_until


def test_a_port_that_is_taken_is_left_to_whom_it_belongs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        assert make_windows(tmp_path, wanted=taken).port != taken


def test_its_password_is_another_at_each_start_and_shown_by_no_repr(tmp_path: Path) -> None:
    first, second = (make_windows(tmp_path / name, wanted=0) for name in ("one", "two"))
    assert first.password != second.password
    assert first.password not in repr(first)
    assert read_windows(tmp_path / "one") == first
    assert (tmp_path / "one/simulated-windows/target.json").stat().st_mode & 0o777 == 0o600


def test_its_process_lets_in_who_has_the_login_and_ends_on_a_signal(tmp_path: Path) -> None:
    target = make_windows(tmp_path / "practice", wanted=free_port())
    keys = {"OPSPORTAL_SECRET_KEY": "k" * 60, "OPSPORTAL_ENCRYPTION_KEYS": Fernet.generate_key().decode()}
    environment = {**product_environment(tmp_path), **keys}
    process = subprocess.Popen(
        [sys.executable, str(MANAGE), "practice_windows", str(tmp_path / "practice")], env=environment
    )
    place = WinRMEndpoint("127.0.0.1", target.port, method="ntlm", https=False)
    login = WindowsCredentials("ops", password=Secret(target.password))
    library = WindowsPowerShellLibrary()
    try:
        wait_until(lambda: listens(target.port), seconds=30, what="it does not listen")
        assert library.execute_powershell(place, "hostname", login).stdout.strip() == b"SIMULATED-WIN"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
