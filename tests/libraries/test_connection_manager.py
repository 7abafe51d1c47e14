"""Logins are made once and used again, within limits, and never by the wrong caller."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from automation.libraries.connection_manager import ConnectionManager, Limits
from automation.libraries.deadlines import after
from automation.libraries.errors import ConnectionBusy, ConnectionLost, HostKeyChanged
from automation.libraries.ssh_connection import SSHConnection
from automation.libraries.types import Credentials, Endpoint
from credentials.secret import Secret
from tests.libraries.sshd import Sshd, make_key

pytestmark = pytest.mark.usefixtures("nothing_left")


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def manager(clock: Clock) -> Iterator[ConnectionManager]:
    pool = ConnectionManager(limits=Limits(per_target=2, total=3, wait=30, idle=60), clock=clock)
    yield pool
    pool.close()


def work(connection: SSHConnection) -> None:
    channel = connection.open_channel("true", deadline=after(10))
    while not channel.ended:
        assert channel.wait(deadline=after(10))
    assert channel.exit_status == 0


def use(manager: ConnectionManager, endpoint: Endpoint, credentials: Credentials) -> SSHConnection:
    with manager.connection(endpoint, credentials) as connection:
        work(connection)
        return connection


def test_ten_uses_are_one_login_as_the_server_counts_them(manager: ConnectionManager, sshd: Sshd) -> None:
    before = sshd.logins
    for _ in range(10):
        use(manager, sshd.endpoint(), sshd.credentials)
    assert sshd.logins - before == 1
    assert (manager.stats.logins, manager.stats.reuses) == (1, 9)
    assert (manager.stats.in_use, manager.stats.idle) == (0, 1)


def test_another_credential_or_host_key_set_is_another_login(
    manager: ConnectionManager, sshd: Sshd, tmp_path: Path
) -> None:
    key = make_key(tmp_path / "second")
    sshd.authorize(key.with_suffix(".pub"))
    use(manager, sshd.endpoint(), sshd.credentials)
    use(manager, sshd.endpoint(), Credentials("root", private_key=Secret(key.read_text())))
    assert manager.stats.logins == 2
    with pytest.raises(HostKeyChanged):
        use(manager, replace(sshd.endpoint(), host_keys=("ssh-ed25519 AAAA",)), sshd.credentials)


def test_idle_connections_are_closed_by_the_clock(
    manager: ConnectionManager, sshd: Sshd, clock: Clock
) -> None:
    connection = use(manager, sshd.endpoint(), sshd.credentials)
    clock.now += 59
    assert manager.close_idle() == 0
    clock.now += 2
    assert manager.close_idle() == 1
    assert not connection.alive
    assert manager.stats.idle == 0


def test_a_connection_that_died_at_rest_is_replaced(manager: ConnectionManager, sshd: Sshd) -> None:
    first = use(manager, sshd.endpoint(), sshd.credentials)
    first.close()
    second = use(manager, sshd.endpoint(), sshd.credentials)
    assert second is not first
    assert manager.stats.logins == 2


def test_a_connection_that_rested_long_is_asked_for_a_sign_of_life(
    manager: ConnectionManager, sshd: Sshd, clock: Clock
) -> None:
    first = use(manager, sshd.endpoint(), sshd.credentials)
    clock.now += 30
    assert use(manager, sshd.endpoint(), sshd.credentials) is first


def test_a_connection_is_used_by_one_caller_at_a_time(sshd: Sshd) -> None:
    manager = ConnectionManager(limits=Limits(per_target=2, wait=0.2))
    endpoint, credentials = sshd.endpoint(), sshd.credentials
    with (
        manager.connection(endpoint, credentials) as first,
        manager.connection(endpoint, credentials) as second,
    ):
        assert first is not second
        with pytest.raises(ConnectionBusy) as caught, manager.connection(endpoint, credentials):
            pass
        assert not caught.value.sent
    manager.close()


def test_a_caller_waits_for_a_connection_to_become_free(manager: ConnectionManager, sshd: Sshd) -> None:
    endpoint, credentials = sshd.endpoint(), sshd.credentials
    use(manager, endpoint, credentials)

    def hold() -> None:
        with manager.connection(endpoint, credentials):
            time.sleep(0.1)

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(hold) for _ in range(6)]:
            done.result()
    assert manager.stats.logins == 2


def test_the_total_limit_gives_up_what_has_rested_longest(
    manager: ConnectionManager, sshd: Sshd, clock: Clock
) -> None:
    opened = []
    for number in range(1, 5):
        opened.append(use(manager, sshd.endpoint(f"127.0.0.{number}"), sshd.credentials))
        clock.now += 1
    assert [connection.alive for connection in opened] == [False, True, True, True]


def test_a_failed_login_takes_up_no_place(manager: ConnectionManager, sshd: Sshd) -> None:
    wrong = replace(sshd.endpoint(), host_keys=("ssh-ed25519 AAAA",))
    for _ in range(5):
        with pytest.raises(HostKeyChanged):
            use(manager, wrong, sshd.credentials)
    use(manager, sshd.endpoint(), sshd.credentials)


def test_closing_ends_work_in_progress_and_refuses_more(manager: ConnectionManager, sshd: Sshd) -> None:
    endpoint, credentials = sshd.endpoint(), sshd.credentials
    with manager.connection(endpoint, credentials) as connection:
        threading.Timer(0.2, manager.close).start()
        channel = connection.open_channel("sleep 60", deadline=after(10))
        assert channel.wait(deadline=after(10))
        assert channel.lost
        with pytest.raises(ConnectionLost):
            connection.open_channel("true", deadline=after(1))
    with pytest.raises(ConnectionBusy), manager.connection(endpoint, credentials):
        pass


def test_many_threads_share_the_pool(sshd: Sshd) -> None:
    manager = ConnectionManager(limits=Limits(per_target=2, total=8))
    endpoints = [sshd.endpoint(f"127.0.1.{number}") for number in range(1, 9)]
    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(use, manager, e, sshd.credentials) for e in endpoints * 8]:
            done.result()
    stats = manager.stats
    assert stats.logins + stats.reuses == 64
    assert stats.in_use == 0
    assert stats.idle <= 8
    manager.close()


def test_a_name_resolves_to_all_addresses(manager: ConnectionManager) -> None:
    assert "127.0.0.1" in manager.resolve("localhost")


def test_secrets_show_nowhere_in_the_pool(manager: ConnectionManager, sshd: Sshd) -> None:
    use(manager, sshd.endpoint(), sshd.credentials)
    assert "PRIVATE KEY" not in repr(vars(manager))
