"""What such classes commonly get wrong, and these must not: one promise a test, on real connections.

In `tests/libraries` is proven: identities and logins in `test_host_identity.py`, `test_ssh_connection.py` and
`windows/test_logins.py`; quoting, ends, limits and sudo in `test_plain.py`; pooling in
`test_connection_manager.py` and `windows/test_pooling.py`; bastions in `test_bastions.py`; file transfer in
`test_staging.py`; lost answers in `windows/test_faults.py`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from automation.libraries.connection_manager import ConnectionManager
from automation.libraries.errors import AuthFailed, CommandTimeout, ConnectionLost, LibraryError
from automation.libraries.linux_ssh import LinuxSSHLibrary
from automation.libraries.parallel import ParallelTarget, execute_bash_parallel, execute_powershell_parallel
from automation.libraries.types import Credentials
from automation.libraries.windows.types import WindowsCredentials
from automation.libraries.windows_powershell import WindowsPowerShellLibrary
from credentials.secret import Secret
from opsportal.simulated_windows import Settings, SimulatedWindows
from tests.libraries.conftest import nothing_left, sshd
from tests.libraries.faulty import FakeSSH
from tests.libraries.sshd import Sshd, free_port
from tests.libraries.windows.conftest import OPS, endpoint_of, verbs

__all__ = ["nothing_left", "sshd"]
pytestmark = pytest.mark.usefixtures("nothing_left")
linux, powershell = LinuxSSHLibrary(), WindowsPowerShellLibrary()
WRONG = WindowsCredentials("ops", password=Secret("canary-and-wrong"))


@pytest.fixture
def windows() -> Iterator[SimulatedWindows]:
    with SimulatedWindows(Settings()) as target:
        yield target


# -- errors: raised with their type, or given in the result ------------------------------------------


def test_a_failure_on_windows_is_raised_with_its_type_or_given_as_a_result(windows: SimulatedWindows) -> None:
    with pytest.raises(AuthFailed) as caught:
        powershell.execute_powershell(endpoint_of(windows), "exit 0", WRONG)
    result = powershell.execute_powershell(endpoint_of(windows), "exit 0", WRONG, raise_errors=False)
    seen = result.as_dict()
    assert (seen["success"], seen["error_code"], seen["exit_code"]) == (False, "auth.failed", None)
    assert seen["attempts"] == 0 and seen["error"] == str(caught.value)
    assert "canary" not in json.dumps(seen)
    assert json.loads(json.dumps(seen)) == seen


def test_no_exit_code_is_made_up_for_what_was_never_reached(sshd: Sshd) -> None:
    result = linux.execute_bash(f"127.0.0.1:{free_port()}", "exit 0", sshd.credentials, raise_errors=False)
    assert (result.exit_code, result.success, result.attempts) == (None, False, 0)


def test_every_result_has_the_same_keys_on_both_systems(sshd: Sshd, windows: SimulatedWindows) -> None:
    one = linux.execute_script(sshd.endpoint(), "echo hi", sshd.credentials).as_dict()
    other = powershell.execute_script(endpoint_of(windows), "Write-Output hi", OPS).as_dict()
    assert one.keys() <= other.keys()
    assert one["details"].keys() == other["details"].keys()
    assert (one["stdout"].strip(), other["stdout"].strip()) == ("hi", "hi")
    assert {one["details"]["protocol"], other["details"]["protocol"]} == {"ssh", "winrm"}


def test_a_test_of_a_connection_tells_code_duration_and_way_on_both_systems(
    sshd: Sshd, windows: SimulatedWindows
) -> None:
    refused = Credentials("root", password=Secret("canary-and-wrong"))
    for test in (
        linux.test_connection(sshd.endpoint(), refused),
        powershell.test_connection(endpoint_of(windows), WRONG),
    ):
        seen = test.as_dict()
        assert seen["success"] is False and seen["error_code"].startswith("auth.")
        assert seen["duration_seconds"] >= 0
        assert {"protocol", "port", "auth_method"} <= seen["details"].keys()
        assert "canary" not in json.dumps(seen)


# -- nothing that may have run is run again -----------------------------------------------------------


def test_a_script_whose_connection_breaks_is_sent_once() -> None:
    server = FakeSSH(close="exec")
    with server.running() as endpoint, pytest.raises(ConnectionLost):
        linux.execute_bash(endpoint, "reboot", Credentials("ops", password=Secret("right")))
    assert server.seen.count("exec") == 1


def test_a_script_that_is_too_slow_runs_once(sshd: Sshd, windows: SimulatedWindows) -> None:
    journal = sshd.home / "journal"
    with pytest.raises(CommandTimeout):
        linux.execute_bash(sshd.endpoint(), f"echo x >> {journal}; sleep 60", sshd.credentials, timeout=0.5)
    assert journal.read_text() == "x\n"
    with pytest.raises(CommandTimeout):
        powershell.execute_powershell(endpoint_of(windows), "Start-Sleep -Seconds 60", OPS, timeout=0.5)
    assert verbs(windows).count("Command") == 1


# -- output ---------------------------------------------------------------------------------------------


def test_output_that_is_no_text_breaks_nothing(sshd: Sshd) -> None:
    result = linux.execute_bash(sshd.endpoint(), r"printf 'a\377\000b'", sshd.credentials)
    assert result.stdout == b"a\xff\x00b"
    assert json.dumps(result.as_dict())


def test_more_output_than_any_window_holds_comes_on_both_streams_at_once(sshd: Sshd) -> None:
    script = "head -c 5000000 /dev/zero >&2 & head -c 5000000 /dev/zero; wait; exit 7"
    result = linux.execute_bash(sshd.endpoint(), script, sshd.credentials, timeout=30)
    assert (len(result.stdout), len(result.stderr), result.exit_code) == (5_000_000, 5_000_000, 7)


# -- parallel -------------------------------------------------------------------------------------------


def test_both_parallel_calls_work_at_the_same_time_and_keep_each_output(sshd: Sshd) -> None:
    here = [ParallelTarget(f"t{n}", sshd.endpoint(), sshd.credentials) for n in range(3)]
    meet = (
        'mkdir -p "$HOME/meet"; touch "$HOME/meet/$$"; until [ $(ls "$HOME/meet" | wc -l) -ge 3 ]; do :; done'
    )
    met = execute_bash_parallel(here, f"{meet}; echo met", timeout=30).as_dict()
    assert (met["success"], met["total_targets"], met["failed_count"]) == (True, 3, 0)
    assert [result["stdout"] for result in met["results"]] == ["met\n"] * 3


def test_powershell_runs_on_its_targets_at_the_same_time(windows: SimulatedWindows) -> None:
    there = [ParallelTarget(f"t{n}", endpoint_of(windows), OPS) for n in range(4)]
    script = "Write-Output begun; Start-Sleep -Seconds 2; Write-Output ended"
    done = execute_powershell_parallel(there, script, max_concurrent=4)
    assert done.success and done.duration < 2 * len(there)
    assert [result.stdout.split() for result in done.results.values()] == [[b"begun", b"ended"]] * 4


def test_one_good_target_among_bad_ones_is_no_success(sshd: Sshd) -> None:
    targets = [
        ParallelTarget("good", sshd.endpoint(), sshd.credentials),
        ParallelTarget("bad", f"127.0.0.1:{free_port()}", sshd.credentials),
    ]
    assert not execute_bash_parallel(targets, "true").success


# -- the process that uses them ---------------------------------------------------------------------------


def test_the_environment_of_the_process_stays_as_it_was(
    sshd: Sshd, windows: SimulatedWindows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    seen: list[dict[str, str]] = []
    powershell.execute_powershell(
        endpoint_of(windows), "Write-Output x", OPS, on_output=lambda *_: seen.append(dict(os.environ))
    )
    linux.execute_bash(
        sshd.endpoint(), "echo x", sshd.credentials, on_output=lambda *_: seen.append(dict(os.environ))
    )
    assert len(seen) >= 2 and all(environment == dict(os.environ) for environment in seen)


def test_a_library_tells_its_readiness_and_claims_nothing_it_has_not() -> None:
    for library in (linux, powershell):
        info = library.get_library_info()
        assert info["ready"] is True and info["dependencies"] and info["timeouts"]
        assert info["retry_settings"]["max_retries"] == 0
        assert not [claim for claim in info["capabilities"] if "crypt" in claim and "message" not in claim]
        assert "connection pooling" in info["capabilities"]


def test_no_secret_is_in_what_a_caller_can_print(sshd: Sshd) -> None:
    secret = Credentials("root", password=Secret("canary-and-wrong"))
    manager = ConnectionManager()
    try:
        with pytest.raises(LibraryError) as caught, manager.connection(sshd.endpoint(), secret):
            raise AssertionError("it logged in")
    finally:
        manager.close()
    told = f"{secret!r} {caught.value!r} {caught.value} {manager!r} {manager.stats!r} {vars(caught.value)!r}"
    assert "canary" not in told
