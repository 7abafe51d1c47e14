"""Windows connections in the pool that SSH ones share."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from automation.libraries.connection_manager import ConnectionManager, Limits
from automation.libraries.errors import ConnectionBusy, ConnectionLost, LibraryError
from automation.libraries.parallel import ParallelTarget, execute_powershell_parallel
from automation.libraries.windows.types import WindowsCredentials
from automation.libraries.windows_powershell import WindowsPowerShellLibrary
from credentials.secret import Secret
from opsportal.simulated_windows import SimulatedWindows
from tests.libraries.sshd import Sshd
from tests.libraries.windows.conftest import OPS, endpoint_of, verbs

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


@pytest.fixture
def manager(clock: list[float]) -> Iterator[ConnectionManager]:
    limits = Limits(per_target=2, total=3, wait=0.2, idle=60)
    opened = ConnectionManager(limits=limits, clock=lambda: clock[0])
    yield opened
    opened.close()


def test_one_login_and_one_shell_serve_many_scripts(
    manager: ConnectionManager, windows: SimulatedWindows
) -> None:
    library = WindowsPowerShellLibrary(manager=manager)
    for number in range(5):
        result = library.execute_powershell(endpoint_of(windows), f"Write-Output {number}", OPS)
        assert result.stdout == f"{number}\r\n".encode()
    assert (manager.stats.logins, manager.stats.reuses, windows.connections) == (1, 4, 1)
    assert verbs(windows).count("Create") == 1 and "Delete" not in verbs(windows)


def test_a_target_gets_no_more_connections_than_it_may_have(
    manager: ConnectionManager, windows: SimulatedWindows
) -> None:
    place = endpoint_of(windows)
    with (
        manager.windows_connection(place, OPS),
        manager.windows_connection(place, OPS),
        pytest.raises(ConnectionBusy),
        manager.windows_connection(place, OPS),
    ):
        pass


def test_ssh_and_winrm_share_the_limit_of_all(
    manager: ConnectionManager, windows: SimulatedWindows, sshd: Sshd
) -> None:
    place = endpoint_of(windows)
    with (
        manager.connection(sshd.endpoint(), sshd.credentials),
        manager.connection(sshd.endpoint(), sshd.credentials),
        manager.windows_connection(place, OPS),
        pytest.raises(ConnectionBusy),
        manager.windows_connection(place, OPS),
    ):
        pass


def test_a_connection_at_rest_too_long_is_closed_with_its_shell(
    manager: ConnectionManager, windows: SimulatedWindows, clock: list[float]
) -> None:
    WindowsPowerShellLibrary(manager=manager).execute_powershell(endpoint_of(windows), "exit", OPS)
    clock[0] = 61
    assert manager.close_idle() == 1 and windows.shells == []


def test_a_rested_connection_that_is_dead_is_replaced(
    manager: ConnectionManager, windows: SimulatedWindows
) -> None:
    library = WindowsPowerShellLibrary(manager=manager)
    library.execute_powershell(endpoint_of(windows), "exit", OPS)
    windows.drop_connections()
    time.sleep(0.05)
    assert library.execute_powershell(endpoint_of(windows), "Write-Output 1", OPS).stdout == b"1\r\n"
    assert manager.stats.logins == 2


def test_a_rested_shell_that_expired_is_noticed_before_it_is_used(
    manager: ConnectionManager, windows: SimulatedWindows, clock: list[float]
) -> None:
    library = WindowsPowerShellLibrary(manager=manager)
    library.execute_powershell(endpoint_of(windows), "exit", OPS)
    windows.expire_shells()
    clock[0] = 20
    assert library.execute_powershell(endpoint_of(windows), "Write-Output 1", OPS).stdout == b"1\r\n"


def test_another_password_is_another_login(manager: ConnectionManager, windows: SimulatedWindows) -> None:
    library = WindowsPowerShellLibrary(manager=manager)
    library.execute_powershell(endpoint_of(windows), "exit", OPS)
    wrong = WindowsCredentials("ops", password=Secret("other"))
    with pytest.raises(LibraryError) as caught:
        library.execute_powershell(endpoint_of(windows), "exit", wrong)
    assert caught.value.code == "auth.failed"


def test_closing_the_pool_ends_following_at_once_and_leaves_the_script_alone(
    manager: ConnectionManager, windows: SimulatedWindows
) -> None:
    windows.script("hang", stdout="begun\r\n", hang=True)
    library = WindowsPowerShellLibrary(manager=manager)

    def close(_stream: str, _data: bytes) -> None:
        threading.Thread(target=manager.close).start()

    begun = time.monotonic()
    with pytest.raises(ConnectionLost) as caught:
        library.execute_powershell(endpoint_of(windows), "hang", OPS, on_output=close)
    assert time.monotonic() - begun < 3 and caught.value.sent
    assert len(windows.shells) == 1


def test_a_test_neither_uses_nor_fills_the_pool(
    manager: ConnectionManager, windows: SimulatedWindows
) -> None:
    assert manager.test(endpoint_of(windows), OPS).success
    assert (manager.stats.logins, manager.stats.idle) == (0, 0)


def test_one_script_on_many_targets_at_once_keeps_each_outcome() -> None:
    with SimulatedWindows() as one, SimulatedWindows() as two:
        wrong = WindowsCredentials("ops", password=Secret("other"))
        targets = [
            ParallelTarget("one", endpoint_of(one), OPS),
            ParallelTarget("two", endpoint_of(two), wrong),
        ]
        outcome = execute_powershell_parallel(targets, "Write-Output 1")
    assert outcome.results["one"].stdout == b"1\r\n" and outcome.successful == 1
    error = outcome.results["two"].error
    assert error is not None and error.code == "auth.failed"
