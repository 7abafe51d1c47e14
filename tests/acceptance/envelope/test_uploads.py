"""Uploads that are cut, stalled or fenced, against a real sshd: nothing runs, or exactly once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from automation.libraries.envelope import Control, End, Fenced, Order, Probe, Refused, probe, reclaim, run
from automation.libraries.envelope_upload import Header, Upload, build_upload
from automation.libraries.ssh_channel import SSHChannel
from automation.libraries.ssh_connection import SSHConnection, connect
from automation.libraries.types import Credentials, Endpoint, Stream
from credentials.secret import Secret
from tests.acceptance.envelope.conftest import NewHost
from tests.acceptance.envelope.portal import until
from tests.hosts.client import Hosts

EFFECTS = "/var/tmp/effects"
# Whatever prefix of this ran would leave its mark.
PAYLOAD = "".join(f'echo {n} >> {EFFECTS} # it\'s "quoted" and long\n' for n in range(8)).encode()


class Login:
    """One user's login on a host, its spool known."""

    def __init__(self, hosts: Hosts, name: str, *, become: bool) -> None:
        self.hosts, self.name, self.become = hosts, name, become
        self.connection = self.connect()
        self.found: Probe = probe(
            self.connection, become=become, installation="cases", spool=None, deadline=soon()
        )

    def connect(self) -> SSHConnection:
        endpoint = Endpoint(self.hosts.address(self.name), 22, (self.hosts.host_key(self.name),))
        key = Secret(self.hosts.private_key.read_text())
        return connect(endpoint, Credentials("ops", private_key=key))

    def order(self, payload: bytes = PAYLOAD) -> Order:
        found = self.found
        return Order(uuid4().hex, "cases", payload, 60, found.spool, found.spool_id or "", become=self.become)

    def upload(self, order: Order) -> Upload:
        header = Header(
            "run",
            attempt=order.attempt,
            installation=order.installation,
            spool=order.spool,
            spool_id=order.spool_id,
            timeout=order.timeout,
            grace=order.grace,
            output_limit=order.output_limit,
        )
        return build_upload(header, order.payload, become=self.become)

    def run(self, order: Order) -> End | Refused:
        return run(
            self.connection,
            order,
            on_started=lambda: None,
            on_output=nobody,
            control=Control(),
            deadline=soon(),
        )

    def reclaim(self, order: Order) -> End | Fenced:
        assert order.spool is not None
        return reclaim(
            self.connection,
            order.attempt,
            intent_age=0,
            spool=order.spool,
            spool_id=order.spool_id,
            become=self.become,
            offsets=(0, 0),
            on_output=nobody,
            control=Control(),
            deadline=soon(),
        )

    def effects(self) -> list[str]:
        return self.hosts.raw(self.name, "cat", EFFECTS).stdout.splitlines()

    def started(self) -> list[str]:
        """Attempts that went so far as to take the right to start."""
        attempts = f"{self.found.spool}/attempts"
        return self.hosts.raw(self.name, "find", attempts, "-name", "start").stdout.split()

    def guards(self) -> str:
        return self.hosts.raw(self.name, "pgrep", "-f", "opsportal-guard").stdout


def soon() -> float:
    return time.monotonic() + 60


def all_of(channel: SSHChannel) -> bytes:
    """What the guard says until its channel ends."""
    said = b""
    while not channel.ended and channel.wait(deadline=soon()):
        said += channel.read("stdout")
        channel.read("stderr")
    return said


def nobody(_stream: Stream, _data: bytes) -> None:
    """The output does not matter here."""


@pytest.fixture(params=[False, True], ids=["ops", "root"])
def login(hosts: Hosts, new_host: NewHost, request: pytest.FixtureRequest) -> Iterator[Login]:
    login = Login(hosts, new_host(), become=request.param)
    yield login
    login.connection.close()


def cut_points(upload: Upload) -> list[int]:
    """Every byte of the start, the header and the payload's last lines, and some of everything."""
    size = len(upload.data)
    payload = upload.data.index(PAYLOAD)
    first = upload.data.index(b"\n") + 1
    edges = {*range(0, first + 2, 5), *range(payload - 12, payload + 8), *range(size - 48, size)}
    inside = range(7, size, size // 120)
    return sorted(edges | set(inside))


def test_an_upload_cut_at_any_byte_runs_nothing(login: Login) -> None:
    points = cut_points(login.upload(login.order()))
    cut: list[Order] = []
    header = login.upload(login.order()).data.index(PAYLOAD)

    def send_part(at: int) -> None:
        order = login.order()
        upload = login.upload(order)
        channel = login.connection.open_channel(upload.command, deadline=soon())
        channel.send(upload.data[:at], deadline=soon())
        if at % 2:  # the sender ends in good order, or goes away
            channel.send_eof()
            assert (b"REFUSED upload" in all_of(channel)) == (at >= header), at
        channel.close()
        cut.append(order)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(send_part, points))
    until(lambda: not login.guards(), "all guards are gone")
    assert (login.effects(), login.started()) == ([], [])
    some = cut[:: len(cut) // 6]
    assert all(isinstance(fence := login.reclaim(order), Fenced) and fence.proven for order in some)
    assert login.effects() == []
    whole = login.run(login.order())
    assert isinstance(whole, End)
    assert (whole.how, whole.exit_code) == ("ended", 0)
    assert login.effects() == [str(n) for n in range(8)]
    assert len(login.started()) == len(some) + 1


def test_an_upload_whose_connection_dies_runs_nothing(login: Login) -> None:
    order = login.order()
    upload = login.upload(order)
    for left in (1, 40, len(PAYLOAD)):
        doomed = login.connect()
        doomed.open_channel(upload.command, deadline=soon()).send(upload.data[:-left], deadline=soon())
        doomed.close()
    until(lambda: not login.guards(), "all guards are gone")
    fenced = login.reclaim(order)
    assert isinstance(fenced, Fenced)
    assert fenced.proven
    assert login.effects() == []


def test_a_fence_beats_an_upload_that_stalled(login: Login) -> None:
    order = login.order()
    upload = login.upload(order)
    channel = login.connection.open_channel(upload.command, deadline=soon())
    channel.send(upload.data[:-1], deadline=soon())
    time.sleep(0.3)
    fenced = login.reclaim(order)
    assert fenced == Fenced(proven=True, boot=login.found.boot, spool_id=login.found.spool_id or "")
    channel.send(upload.data[-1:], deadline=soon())
    assert b"REFUSED exists" in all_of(channel)
    assert login.effects() == []
    assert login.reclaim(order) == fenced


def test_of_a_start_and_a_fence_at_the_same_moment_exactly_one_wins(login: Login) -> None:
    outcomes = []
    for lead in range(-6, 7):  # of the start before the fence, in 20 ms
        order = login.order(b"echo ran >> %s\n" % EFFECTS.encode())
        results: dict[str, object] = {}

        def start(order: Order = order, results: dict[str, object] = results, wait: int = -lead) -> None:
            time.sleep(max(0, wait) * 0.02)
            results["run"] = login.run(order)

        starter = threading.Thread(target=start)
        starter.start()
        time.sleep(max(0, lead) * 0.02)
        fence = login.reclaim(order)
        starter.join()
        assert isinstance(fence, Fenced) == isinstance(results["run"], Refused), (fence, results)
        outcomes.append(isinstance(fence, Fenced))
    assert len(login.effects()) == outcomes.count(False)
    assert set(outcomes) == {True, False}
