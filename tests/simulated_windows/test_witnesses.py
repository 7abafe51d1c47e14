"""Unrelated clients and their own test suites, which were written against real Windows machines."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pypsrp.shell import Process, WinRS
from pypsrp.wsman import WSMan

from opsportal.simulated_windows import Certificate, Logins, Settings, SimulatedWindows
from tests.simulated_windows.conftest import EASY, PASSWORD, USER
from tests.simulated_windows.papers import Authority
from tests.simulated_windows.recordings import FOLDER

TIMEOUT = 120
# Of pypsrp's tests these never ask a real machine: they play their recording to themselves.
NEVER_REAL = "no_cmd_shell or operation_timeout or noprofile"
TRANSPORTS = ("basic", "ntlm")


def _pytest(arguments: list[str], environment: Mapping[str, str], folder: Path) -> subprocess.Popen[str]:
    """Someone else's suite in a process of its own, without our settings."""
    known = {name: value for name, value in os.environ.items() if name not in ("CI", "REQUESTS_CA_BUNDLE")}
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:django", "-p", "no:cacheprovider", "-rs", *arguments],
        env={**known, **environment},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _counts(output: str) -> dict[str, int]:
    return {
        word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", output.strip().splitlines()[-1])
    }


@pytest.fixture(scope="module")
def suites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The output of pywinrm's whole suite by transport, both against one target at the same time."""
    with SimulatedWindows(Settings(logins=EASY)) as target:
        started = {
            transport: _pytest(
                ["--pyargs", "winrm.tests"],
                {
                    "WINRM_ENDPOINT": target.endpoint,
                    "WINRM_TRANSPORT": transport,
                    "WINRM_USERNAME": USER,
                    "WINRM_PASSWORD": PASSWORD,
                },
                tmp_path_factory.mktemp(transport),
            )
            for transport in TRANSPORTS
        }
        yield {transport: process.communicate(timeout=TIMEOUT)[0] for transport, process in started.items()}
        assert target.shells == []


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_pywinrms_own_suite_passes_whole(transport: str, suites: dict[str, str]) -> None:
    counts = _counts(suites[transport])
    assert counts["passed"] == 72, suites[transport]
    assert set(counts) <= {"passed", "xfailed", "warnings", "warning"}, suites[transport]


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedWindows]:
    authority = Authority(tmp_path_factory.mktemp("papers"))
    paper = authority.server()
    settings = Settings(logins=Logins(basic=True), certificate=Certificate(paper.chain, paper.key))
    with SimulatedWindows(settings) as target:
        yield target


def test_pypsrps_own_tests_of_remote_shells_pass(secure: SimulatedWindows, real_exchanges: Path) -> None:
    environment = {
        "PYPSRP_SERVER": "localhost",
        "PYPSRP_PORT": str(secure.port),
        "PYPSRP_USERNAME": USER,
        "PYPSRP_PASSWORD": PASSWORD,
        "PYPSRP_AUTH": "negotiate",
    }
    arguments = [f"{FOLDER}/test_shell.py", "-k", f"not ({NEVER_REAL})", "--rootdir", str(real_exchanges)]
    output = _pytest(arguments, environment, real_exchanges).communicate(timeout=TIMEOUT)[0]
    counts = _counts(output)
    assert counts.pop("passed") == 8, output
    assert set(counts) <= {"deselected", "warnings", "warning"}, output


@pytest.mark.parametrize("auth", ["basic", "ntlm", "negotiate"])
def test_pypsrps_remote_shell_works(auth: str, windows: SimulatedWindows) -> None:
    options: dict[str, Any] = {"encryption": "never" if auth == "basic" else "always", "no_proxy": True}
    with (
        WSMan(
            "127.0.0.1",
            port=windows.port,
            ssl=False,
            username=USER,
            password=PASSWORD,
            auth=auth,
            **options,
        ) as wsman,
        WinRS(wsman, codepage=65001) as shell,
    ):
        process = Process(shell, "powershell.exe", ["-Command", "Write-Output 'Ω漢🙂'; exit 4"])
        process.invoke()
        assert (process.stdout.decode(), process.stderr, process.rc) == ("Ω漢🙂\r\n", b"", 4)


def test_ansibles_winrm_plugin_runs_a_raw_command(windows: SimulatedWindows, tmp_path: Path) -> None:
    variables = {
        "ansible_connection": "winrm",
        "ansible_host": "127.0.0.1",
        "ansible_port": str(windows.port),
        "ansible_user": USER,
        "ansible_password": PASSWORD,
        "ansible_winrm_scheme": "http",
        "ansible_winrm_transport": "ntlm",
        "ansible_shell_type": "powershell",
    }
    told = "".join(f"{name}={value}\n" for name, value in variables.items())
    inventory = tmp_path / "inventory.ini"
    inventory.write_text(f"[all]\nsimulated\n[all:vars]\n{told}", encoding="utf-8")
    ansible = [str(Path(sys.executable).with_name("ansible")), "-i", str(inventory), "all"]
    ran = subprocess.run(
        [*ansible, "-m", "raw", "-a", "Write-Output 'played'; exit 3"],
        env={**os.environ, "LC_ALL": "C.UTF-8", "ANSIBLE_HOME": str(tmp_path), "NO_PROXY": "*"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert "simulated | FAILED | rc=3" in ran.stdout, ran.stdout + ran.stderr
    assert "played" in ran.stdout
    assert windows.shells == []
