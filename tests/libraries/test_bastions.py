"""Targets behind bastions: the way there is verified hop by hop, shared, bounded, and named in errors."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from automation.libraries.connection_manager import ConnectionManager, Limits
from automation.libraries.deadlines import Deadlines, after
from automation.libraries.errors import (
    AuthFailed,
    BastionRefused,
    BastionUnreached,
    ConnectionBusy,
    ConnectionLost,
    HostKeyChanged,
    HostKeyUnknown,
)
from automation.libraries.linux_ssh import LinuxSSHLibrary
from automation.libraries.ssh_connection import connect
from automation.libraries.target_check import check_target
from automation.libraries.types import Credentials, Endpoint, Hop
from credentials.secret import Secret
from tests.libraries.sshd import Sshd, free_port

pytestmark = pytest.mark.usefixtures("nothing_left")


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("gate"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def closed_gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("closed"), "AllowTcpForwarding no")
    yield server
    server.stop()


def hop(server: Sshd, name: str = "gate", *, via: Hop | None = None) -> Hop:
    return Hop(name, replace(server.endpoint(), via=via), server.credentials)


def behind(target: Sshd, bastion: Sshd, host: str = "127.0.0.1") -> Endpoint:
    return replace(target.endpoint(host), via=hop(bastion))


def test_a_script_runs_behind_a_bastion_with_a_credential_for_each(sshd: Sshd, gate: Sshd) -> None:
    before = gate.logins
    result = LinuxSSHLibrary().execute_bash(behind(sshd, gate), "echo $SSH_CONNECTION", sshd.credentials)
    assert result.stdout.split()[-1] == str(sshd.port).encode()
    assert gate.logins - before == 1


def test_a_chain_goes_through_every_bastion(sshd: Sshd, gate: Sshd, tmp_path_factory: object) -> None:
    assert isinstance(tmp_path_factory, pytest.TempPathFactory)
    inner = Sshd(tmp_path_factory.mktemp("inner"))
    try:
        endpoint = replace(sshd.endpoint(), via=hop(inner, "inner", via=hop(gate, "outer")))
        assert LinuxSSHLibrary().execute_bash(endpoint, "echo there", sshd.credentials).stdout == b"there\n"
        assert inner.logins == 1
    finally:
        inner.stop()


def test_the_bastion_looks_up_the_name(sshd: Sshd, gate: Sshd) -> None:
    result = LinuxSSHLibrary().execute_bash(behind(sshd, gate, "localhost"), "echo here", sshd.credentials)
    assert result.stdout == b"here\n"


def test_much_output_comes_through_whole(sshd: Sshd, gate: Sshd) -> None:
    script = "head -c 8000000 /dev/zero | tr '\\0' x"
    result = LinuxSSHLibrary().execute_bash(behind(sshd, gate), script, sshd.credentials)
    assert hashlib.sha256(result.stdout).digest() == hashlib.sha256(b"x" * 8_000_000).digest()


def test_the_bastions_key_is_verified_before_its_credential_is_used(sshd: Sshd, gate: Sshd) -> None:
    before = gate.logins
    unknown = Hop("gate", gate.endpoint(host_keys=()), gate.credentials)
    with pytest.raises(HostKeyUnknown) as caught:
        connect(replace(sshd.endpoint(), via=unknown), sshd.credentials)
    assert caught.value.hop == "gate"
    assert caught.value.presented == gate.host_key()
    assert str(caught.value).startswith("On the way, at bastion gate: ")
    assert gate.logins == before


def test_a_target_that_is_another_machine_gets_no_credential_through_the_bastion(
    sshd: Sshd, gate: Sshd
) -> None:
    before = sshd.logins
    endpoint = replace(sshd.endpoint(host_keys=(gate.host_key(),)), via=hop(gate))
    with pytest.raises(HostKeyChanged) as caught:
        connect(endpoint, sshd.credentials)
    assert (caught.value.hop, sshd.logins) == ("", before)


def test_a_refused_login_names_the_bastion(sshd: Sshd, gate: Sshd) -> None:
    wrong = Hop("gate", gate.endpoint(), sshd.credentials)
    with pytest.raises(AuthFailed) as caught:
        connect(replace(sshd.endpoint(), via=wrong), sshd.credentials)
    assert (caught.value.hop, caught.value.sent) == ("gate", False)


def test_a_bastion_that_does_not_forward_is_told(sshd: Sshd, closed_gate: Sshd) -> None:
    with pytest.raises(BastionRefused) as caught:
        connect(replace(sshd.endpoint(), via=hop(closed_gate, "closed")), sshd.credentials)
    assert caught.value.hop == "closed"


def test_what_the_bastion_cannot_reach_is_told(sshd: Sshd, gate: Sshd) -> None:
    nothing = replace(sshd.endpoint(), port=free_port(), via=hop(gate))
    with pytest.raises(BastionUnreached) as caught:
        connect(nothing, sshd.credentials)
    assert "refused" in str(caught.value)


def test_a_target_that_never_answers_the_bastion_costs_neither_time_nor_the_bastion(
    sshd: Sshd, gate: Sshd
) -> None:
    manager = ConnectionManager(deadlines=Deadlines(channel=0.3))
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):  # the kernel drops whoever comes after them
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        silent = replace(sshd.endpoint(), port=full.getsockname()[1], via=hop(gate))
        with pytest.raises(BastionUnreached, match="in time"), manager.connection(silent, sshd.credentials):
            pass
        before = gate.logins
        with manager.connection(behind(sshd, gate), sshd.credentials):
            assert (gate.logins, manager.stats.bastions) == (before, 1)
    manager.close()


def test_the_bastion_nearest_to_the_fault_is_named(sshd: Sshd, gate: Sshd) -> None:
    lost = Hop(
        "inner",
        Endpoint("127.0.0.1", free_port(), ("ssh-ed25519 AAAA",), via=hop(gate, "outer")),
        gate.credentials,
    )
    with pytest.raises(BastionUnreached) as caught:
        connect(replace(sshd.endpoint(), via=lost), sshd.credentials)
    assert caught.value.hop == "outer"


def test_many_targets_share_one_login_on_their_bastion(sshd: Sshd, gate: Sshd) -> None:
    before = gate.logins
    manager = ConnectionManager()
    library = LinuxSSHLibrary(manager=manager)
    endpoints = [behind(sshd, gate, f"127.0.2.{number}") for number in range(1, 13)]
    with ThreadPoolExecutor(12) as pool:
        runs = [pool.submit(library.execute_bash, each, "echo ok", sshd.credentials) for each in endpoints]
        assert {run.result().stdout for run in runs} == {b"ok\n"}
    assert gate.logins - before == 1
    assert manager.stats.bastions == 1
    manager.close()


def test_a_full_bastion_gets_another_login_up_to_the_limit(sshd: Sshd, gate: Sshd) -> None:
    before = gate.logins
    manager = ConnectionManager(limits=Limits(per_target=2, tunnels=1, wait=0.3))
    first, second, third = (behind(sshd, gate, f"127.0.3.{number}") for number in (1, 2, 3))
    with manager.connection(first, sshd.credentials), manager.connection(second, sshd.credentials):
        assert gate.logins - before == 2
        with pytest.raises(ConnectionBusy), manager.connection(third, sshd.credentials):
            pass
    manager.close()


def test_those_who_wait_for_a_login_that_fails_get_its_error_at_once(sshd: Sshd, gate: Sshd) -> None:
    manager = ConnectionManager()
    wrong = Hop("gate", gate.endpoint(), sshd.credentials)

    def fail(number: int) -> str:
        endpoint = replace(sshd.endpoint(f"127.0.4.{number}"), via=wrong)
        with pytest.raises(AuthFailed) as caught, manager.connection(endpoint, sshd.credentials):
            pass
        return str(caught.value)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(fail, range(1, 5)))) == 1
    assert manager.stats.bastions == 0
    manager.close()


def test_an_idle_bastion_is_left(sshd: Sshd, gate: Sshd) -> None:
    clock = Clock()
    manager = ConnectionManager(limits=Limits(idle=60), clock=clock)
    with manager.connection(behind(sshd, gate), sshd.credentials):
        pass
    assert manager.stats.bastions == 1
    clock.now += 61
    manager.close_idle()
    clock.now += 61
    manager.close_idle()
    assert (manager.stats.idle, manager.stats.bastions) == (0, 0)
    manager.close()


def test_work_ends_as_lost_when_the_bastion_goes_away(sshd: Sshd, gate: Sshd) -> None:
    bastion = connect(gate.endpoint(), gate.credentials)

    class Given:
        connection = bastion

        def release(self) -> None:
            """The test holds it."""

    connection = connect(behind(sshd, gate), sshd.credentials, carry=lambda hop: Given())
    channel = connection.open_channel("sleep 60", deadline=after(10))
    threading.Timer(0.2, bastion.close).start()
    assert channel.wait(deadline=after(10))
    assert channel.lost
    with pytest.raises(ConnectionLost):
        connection.open_channel("true", deadline=after(1))
    connection.close()


def test_the_test_of_a_target_tells_of_the_way_there(sshd: Sshd, gate: Sshd) -> None:
    found = check_target(behind(sshd, gate), sshd.credentials)
    assert [phase.name for phase in found.phases] == [
        "bastion",
        "tcp",
        "banner",
        "identity",
        "login",
        "shell",
    ]
    assert found.success


def test_no_secret_of_a_bastion_is_printed(sshd: Sshd, gate: Sshd) -> None:
    endpoint = replace(
        sshd.endpoint(),
        via=Hop("gate", gate.endpoint(), Credentials("root", password=Secret("hunter2hunter2"))),
    )
    assert "hunter2" not in repr(endpoint)
