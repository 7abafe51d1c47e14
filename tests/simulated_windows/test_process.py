"""The simulated target as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from winrm.protocol import Protocol

from tests.simulated_windows.conftest import Ran, encoded, remembered, run

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 20


@contextmanager
def started(*arguments: str) -> Iterator[dict[str, Any]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "opsportal.simulated_windows", "--listen", "127.0.0.1:0", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=SECONDS)
    assert process.returncode == 0


def ask(endpoint: str, script: str) -> Ran:
    given: dict[str, Any] = {
        "username": "robot",
        "password": "Secret-2",
        "proxy": None,
        "ca_trust_path": None,
    }
    protocol = remembered(Protocol(endpoint, transport="ntlm", **given))
    return run(protocol, encoded(script))


def test_it_plays_behaviours_of_a_file_and_remembers_its_state(tmp_path: Path) -> None:
    users, behaviours, oracle = (tmp_path / name for name in ("users", "behaviours", "oracle"))
    users.write_text(json.dumps({"robot": "Secret-2"}), encoding="utf-8")
    played = [{"pattern": "inventory", "pieces": [{"data": "Ω漢"}], "exit_code": 4}]
    behaviours.write_text(json.dumps(played), encoding="utf-8")
    files = ["--users", str(users), "--behaviours", str(behaviours)]
    memory = ["--oracle", str(oracle), "--state", str(tmp_path)]
    with started(*files, *memory) as told:
        assert told["simulated"] is True
        assert ask(told["endpoint"], "inventory") == ("Ω漢".encode(), b"", 4)
        ask(told["endpoint"], "Stop-Service Spooler; Set-Content C:\\kept.txt x")
    with started(*files, *memory) as told:
        assert ask(told["endpoint"], "(Get-Service Spooler).Status")[0] == b"Stopped\r\n"
        assert ask(told["endpoint"], "Get-Content C:\\kept.txt")[0] == b"x\r\n"
    effects = [json.loads(line)["kind"] for line in oracle.read_text(encoding="utf-8").splitlines()]
    assert effects == ["service stopped", "file written"]


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    broken = tmp_path / "users"
    broken.write_text("no JSON", encoding="utf-8")
    wrong = subprocess.run(
        [sys.executable, "-m", "opsportal.simulated_windows", "--users", str(broken)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("simulated Windows: cannot start: ")
