"""The library as its users meet it."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from automation.libraries.collecting import KEPT
from automation.libraries.connection_manager import ConnectionManager
from automation.libraries.errors import CommandTimeout, ConnectRefused, HostKeyChanged, HostKeyUnknown
from automation.libraries.linux_ssh import LinuxSSHLibrary, assignments
from automation.libraries.parallel import ParallelTarget, execute_bash_parallel
from automation.libraries.types import Credentials, Endpoint
from credentials.secret import Secret
from tests.libraries.sshd import Sshd, free_port

pytestmark = pytest.mark.usefixtures("nothing_left")
library = LinuxSSHLibrary()


def test_a_script_gives_a_frozen_result_that_reads_as_a_dictionary(sshd: Sshd) -> None:
    result = library.execute_bash(sshd.endpoint(), "echo out; echo err >&2; exit 3", sshd.credentials)
    assert (result.stdout, result.stderr, result.exit_code, result.attempts) == (b"out\n", b"err\n", 3, 1)
    assert not result.success
    with pytest.raises(FrozenInstanceError):
        result.exit_code = 0  # type: ignore[misc]
    seen = result.as_dict()
    assert json.loads(json.dumps(seen)) == seen
    assert seen["details"] == {
        "timeout": 600.0, "script_length": 30, "protocol": "ssh", "port": sshd.port, "auth_method": "key",
    }  # fmt: skip
    assert set(seen) == {
        "success", "error", "error_code", "stdout", "stderr", "exit_code", "duration_seconds", "attempts",
        "details",
    }  # fmt: skip


def test_parameters_reach_the_script_as_data(sshd: Sshd) -> None:
    nasty = 'a\'b "$HOME" `id` \\ \n ;touch x #'
    result = library.execute_bash(
        sshd.endpoint(), 'printf "%s" "$value"', sshd.credentials, parameters={"value": nasty}
    )
    assert result.stdout.decode() == nasty


@pytest.mark.parametrize("name", ["PATH", "a-b", "a b", "", "1a", "a;b", "é"])
def test_a_parameter_cannot_be_named_anything(name: str) -> None:
    with pytest.raises(ValueError, match="parameter name"):
        assignments({name: "x"})


def test_output_streams_while_the_script_runs(sshd: Sshd) -> None:
    heard: list[bytes] = []
    library.execute_bash(
        sshd.endpoint(),
        "echo a; sleep 0.3; echo b",
        sshd.credentials,
        on_output=lambda _, data: heard.append(data),
    )
    assert heard == [b"a\n", b"b\n"]


def test_a_result_keeps_the_beginning_of_long_output_and_counts_the_rest(sshd: Sshd) -> None:
    result = library.execute_bash(sshd.endpoint(), "head -c 12000000 /dev/zero", sshd.credentials)
    assert (len(result.stdout), result.stdout_dropped) == (KEPT, 12_000_000 - KEPT)
    assert result.success


def test_a_script_that_takes_too_long_raises_with_what_it_wrote(sshd: Sshd) -> None:
    with pytest.raises(CommandTimeout) as caught:
        library.execute_bash(sshd.endpoint(), "echo begun; sleep 60", sshd.credentials, timeout=0.5)
    assert caught.value.sent
    assert caught.value.partial.stdout == b"begun\n"


def test_errors_can_be_had_as_results(sshd: Sshd) -> None:
    result = library.execute_bash(f"127.0.0.1:{free_port()}", "true", sshd.credentials, raise_errors=False)
    assert result.as_dict()["error_code"] == "connect.refused"
    assert (result.attempts, result.exit_code) == (0, None)


def test_the_alias_does_the_same(sshd: Sshd) -> None:
    assert library.execute_script(sshd.endpoint(), "true", sshd.credentials).success


def test_a_target_is_refused_without_a_key_and_accepted_with_known_hosts(sshd: Sshd, tmp_path: Path) -> None:
    target = f"127.0.0.1:{sshd.port}"
    with pytest.raises(HostKeyUnknown):
        library.execute_bash(target, "true", sshd.credentials)
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{sshd.port} {sshd.host_key()}\n")
    assert library.execute_bash(target, "true", sshd.credentials, known_hosts=known_hosts).success


def test_with_a_manager_scripts_share_a_login(sshd: Sshd) -> None:
    manager = ConnectionManager()
    pooled = LinuxSSHLibrary(manager=manager)
    for _ in range(5):
        assert pooled.execute_bash(sshd.endpoint(), "true", sshd.credentials).success
    assert manager.stats.logins == 1
    manager.close()


def test_a_connection_of_the_callers_is_used_and_left_open(sshd: Sshd) -> None:
    manager = ConnectionManager()
    with manager.connection(sshd.endpoint(), sshd.credentials) as connection:
        assert library.execute_bash(sshd.endpoint(), "true", sshd.credentials, connection=connection).success
        assert connection.alive
    manager.close()


def test_a_test_times_each_phase(sshd: Sshd) -> None:
    test = library.test_connection(sshd.endpoint(), sshd.credentials)
    assert test.success
    assert [(phase.name, phase.code) for phase in test.phases] == [
        (name, "ok") for name in ("resolve", "tcp", "banner", "identity", "login", "shell")
    ]
    assert test.host_key == sshd.host_key()
    assert test.details["test_output"].startswith("bash 5")
    assert json.dumps(test.as_dict())


def test_a_test_says_which_phase_failed_and_what_key_was_shown(sshd: Sshd) -> None:
    test = library.test_connection(replace(sshd.endpoint(), host_keys=()), sshd.credentials)
    assert (test.success, test.code) == (False, "hostkey.unknown")
    assert [phase.code for phase in test.phases] == [
        "ok",
        "ok",
        "ok",
        "hostkey.unknown",
        "skipped",
        "skipped",
    ]
    assert test.host_key == sshd.host_key()


def test_a_test_of_a_refused_login_fails_in_the_login(sshd: Sshd) -> None:
    test = library.test_connection(sshd.endpoint(), Credentials("root", password=Secret("hunter2")))
    assert test.phases[4].code == "auth.method_unavailable"
    assert "hunter2" not in json.dumps(test.as_dict())


def test_the_library_describes_itself() -> None:
    info = library.get_library_info()
    assert info["ready"] is True
    assert info["default_port"] == 22
    assert json.dumps(info)


def test_scripts_run_on_many_targets_at_the_same_time(sshd: Sshd) -> None:
    targets = [
        ParallelTarget(f"t{number}", sshd.endpoint(f"127.0.2.{number}"), sshd.credentials)
        for number in range(1, 11)
    ]
    outcome = execute_bash_parallel(targets, "sleep 1; echo here", max_concurrent=10)
    assert outcome.success
    assert outcome.duration < 9
    assert list(outcome.results) == [target.name for target in targets]
    assert all(result.stdout == b"here\n" for result in outcome.results.values())


def test_an_error_on_one_target_is_kept_and_touches_no_other(sshd: Sshd) -> None:
    targets = [
        ParallelTarget("good", sshd.endpoint(), sshd.credentials),
        ParallelTarget("gone", Endpoint("127.0.0.1", free_port()), sshd.credentials),
        ParallelTarget("changed", sshd.endpoint(host_keys=("ssh-ed25519 AAAA",)), sshd.credentials),
    ]
    outcome = execute_bash_parallel(targets, "true")
    assert outcome.results["good"].success
    assert isinstance(outcome.results["gone"].error, ConnectRefused)
    assert isinstance(outcome.results["changed"].error, HostKeyChanged)
    summary = outcome.as_dict()
    assert (summary["total_targets"], summary["successful_count"], summary["failed_count"]) == (3, 1, 2)
    assert json.dumps(summary)
