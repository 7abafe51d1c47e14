"""What goes wrong on the way and on the target: each ends in its own state, and nothing runs twice."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from automation.libraries.envelope import Control
from automation.libraries.errors import CommandCancelled, CommandTimeout, ConnectionLost, LibraryError
from automation.libraries.windows.connection import WinRMConnection, connect
from automation.libraries.windows.errors import (
    NotWinRM,
    ShellLost,
    WinRMQuota,
    WinRMUnavailable,
)
from automation.libraries.windows.types import WinRMEndpoint
from automation.libraries.windows_powershell import WindowsPowerShellLibrary
from opsportal.simulated_windows import Break, Piece, Quotas, Settings, SimulatedWindows
from tests.libraries.windows.conftest import OPS, Run, endpoint_of, verbs

PIECES = [Piece(b"one\r\n"), Piece(b"two\r\n", after=0.4), Piece(b"three\r\n", after=0.4)]
pytestmark = pytest.mark.usefixtures("nothing_left")


def test_a_script_that_hangs_is_ended_when_its_time_is_over(run: Run, windows: SimulatedWindows) -> None:
    windows.script("hang", hang=True)
    begun = time.monotonic()
    with pytest.raises(CommandTimeout) as caught:
        run("hang", timeout=1)
    assert time.monotonic() - begun < 4 and "It was ended" in str(caught.value)
    assert windows.shells == []


def test_a_script_is_cancelled_from_another_thread_at_once(run: Run, windows: SimulatedWindows) -> None:
    windows.script("hang", stdout="begun\r\n", hang=True)
    control = Control()
    told: list[float] = []

    def hear(_stream: str, _data: bytes) -> None:
        told.append(time.monotonic())
        threading.Timer(0.1, control.cancel).start()

    with pytest.raises(CommandCancelled) as caught:
        run("hang", control=control, on_output=hear)
    assert time.monotonic() - told[0] < 2 and caught.value.partial.stdout == b"begun\r\n"
    assert windows.shells == []


def test_a_script_cancelled_before_it_was_sent_never_runs(run: Run, windows: SimulatedWindows) -> None:
    control = Control()
    control.cancel()
    with pytest.raises(CommandCancelled):
        run("Write-Output 1", control=control)
    assert not windows.played and windows.shells == []


def test_reading_goes_on_over_a_new_connection_after_a_drop(run: Run, windows: SimulatedWindows) -> None:
    windows.script("slow", pieces=PIECES)
    windows.inject(Break.DROP, "Receive", skip=1)
    result = run("slow")
    assert result.stdout == b"one\r\ntwo\r\nthree\r\n" and result.exit_code == 0
    assert result.incomplete and len(windows.played) == 1


@pytest.mark.parametrize("fault", [Break.LOSE_REPLY, Break.HALF, Break.BUSY, Break.TRUNCATE, Break.BAD_SEAL])
def test_an_answer_lost_on_the_way_is_asked_for_again_and_marked(
    run: Run, windows: SimulatedWindows, fault: Break
) -> None:
    windows.script("slow", pieces=PIECES)
    windows.inject(fault, "Receive", skip=1)
    result = run("slow")
    assert result.stdout == b"one\r\ntwo\r\nthree\r\n"
    assert result.incomplete and len(windows.played) == 1


def test_an_answer_to_another_question_is_not_believed(run: Run, windows: SimulatedWindows) -> None:
    windows.inject(Break.WRONG_RELATION, "Receive")
    assert run("Write-Output 1").incomplete


def test_a_target_that_goes_away_for_good_leaves_an_unknown_end(
    run: Run, windows: SimulatedWindows, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The pauses between the tries are not what is tested.
    monkeypatch.setattr("automation.libraries.windows.follow.REATTACH", (0.01, 0.01))
    windows.script("slow", pieces=PIECES)
    windows.inject(Break.DROP, "Receive", skip=1, times=50)
    with pytest.raises(ConnectionLost) as caught:
        run("slow")
    assert caught.value.sent and caught.value.partial.stdout == b"one\r\n"


@pytest.mark.parametrize("verb", ["Create", "Command", "Send"])
@pytest.mark.parametrize("fault", [Break.DROP, Break.BUSY])
def test_trouble_before_the_script_was_sent_is_safe_to_try_again(
    run: Run, windows: SimulatedWindows, verb: str, fault: Break
) -> None:
    windows.inject(fault, verb)
    with pytest.raises(LibraryError) as caught:
        run("# " + "x" * 300_000)  # more than one Send
    assert not caught.value.sent and not windows.played


@pytest.mark.parametrize("verb", ["Create", "Command"])
def test_a_shell_whose_answer_was_lost_is_closed_all_the_same(
    run: Run, windows: SimulatedWindows, verb: str
) -> None:
    windows.inject(Break.LOSE_REPLY, verb)
    with pytest.raises(LibraryError) as caught:
        run("Write-Output 1")
    assert not caught.value.sent and windows.shells == [] and not windows.played


def test_a_lost_answer_to_the_last_of_the_script_does_not_run_it_twice(
    run: Run, windows: SimulatedWindows
) -> None:
    windows.inject(Break.LOSE_REPLY, "Send")
    assert run("Write-Output 1").stdout == b"1\r\n"
    assert len(windows.played) == 1


def test_a_shell_that_expires_under_its_script_is_told_as_lost(run: Run, windows: SimulatedWindows) -> None:
    windows.script("slow", pieces=PIECES)
    windows.inject(Break.EXPIRE, "Receive", skip=1)
    with pytest.raises(ShellLost) as caught:
        run("slow")
    assert caught.value.sent and caught.value.partial.stdout == b"one\r\n"


def test_too_many_shells_are_a_quota_and_nothing_was_sent() -> None:
    with SimulatedWindows(Settings(quotas=Quotas(shells_per_user=1))) as target:
        busy = connect(endpoint_of(target), OPS)
        busy.warm_up()
        with pytest.raises(WinRMQuota) as caught:
            WindowsPowerShellLibrary().execute_powershell(endpoint_of(target), "exit", OPS)
        busy.close()
    assert not caught.value.sent


def test_operations_that_are_used_up_are_had_again_with_a_new_shell() -> None:
    with SimulatedWindows(Settings(quotas=Quotas(operations_per_user=2))) as target:
        connection = connect(endpoint_of(target), OPS)
        library = WindowsPowerShellLibrary()
        said = [
            library.execute_powershell(endpoint_of(target), "Write-Output 1", OPS, connection=connection)
            for _ in range(3)
        ]
        connection.close()
        assert [result.stdout for result in said] == [b"1\r\n"] * 3
        assert verbs(target).count("Create") == 2


@pytest.mark.parametrize("client_ids", ["ignore", "refuse"])
def test_a_target_that_wants_its_own_ids_serves_as_well(client_ids: str) -> None:
    settings = Settings(client_ids=client_ids)  # type: ignore[arg-type]  # one of its words
    with SimulatedWindows(settings) as target:
        library = WindowsPowerShellLibrary()
        result = library.execute_powershell(endpoint_of(target), "Write-Output 1", OPS)
        assert result.stdout == b"1\r\n" and target.shells == []


def test_a_dead_connection_is_replaced_before_a_script_is_sent(
    windows: SimulatedWindows, connection: WinRMConnection
) -> None:
    connection.warm_up()
    windows.drop_connections()
    time.sleep(0.05)
    assert not connection.alive


def test_a_hundred_encrypted_jobs_at_once_do_not_disturb_each_other() -> None:
    with SimulatedWindows(Settings(quotas=Quotas(shells_per_user=150))) as target:
        target.script("job", seconds=3.0, stdout="done\r\n")
        library = WindowsPowerShellLibrary()

        def job(number: int) -> bytes:
            return library.execute_powershell(endpoint_of(target), f"# job {number}", OPS).stdout

        with ThreadPoolExecutor(100) as pool:
            assert list(pool.map(job, range(100))) == [b"done\r\n"] * 100
        assert target.shells == [] and len(target.played) == 100


def test_output_without_end_is_stopped_and_memory_stays_small(
    run: Run, windows: SimulatedWindows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("automation.libraries.windows_powershell.OUTPUT_LIMIT", 1_000_000)
    windows.script("flood", fill=50_000_000, hang=True)
    with pytest.raises(LibraryError) as caught:
        run("flood")
    assert caught.value.code == "output.limit"
    assert len(caught.value.partial.stdout) < 2_000_000


def test_ten_megabytes_of_output_come_whole(run: Run, windows: SimulatedWindows) -> None:
    windows.script("much", fill=10_000_000)
    result = run("much")
    assert len(result.stdout) + result.stdout_dropped == 10_000_000


def test_another_service_on_the_port_is_told_apart(sshd_like: int) -> None:
    endpoint = WinRMEndpoint("127.0.0.1", sshd_like, https=False)
    result = WindowsPowerShellLibrary().test_connection(endpoint, OPS)
    assert result.code in (NotWinRM.code, WinRMUnavailable.code)
    assert [phase.name for phase in result.phases if phase.code == result.code] == ["protocol"]


@pytest.fixture
def sshd_like() -> Iterator[int]:
    """A port on which something greets that is not HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"SSH-2.0-Something\r\n")
                peer.recv(4096)

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(3)
