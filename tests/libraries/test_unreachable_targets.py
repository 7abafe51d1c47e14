"""Each way in which a target can fail to answer ends in time, with its own code, leaving nothing behind."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from automation.libraries.deadlines import Deadlines, after
from automation.libraries.errors import LibraryError
from automation.libraries.resolution import resolve
from automation.libraries.ssh_connection import connect
from automation.libraries.types import Credentials, Endpoint
from automation.libraries.wire import dial
from credentials.secret import Secret
from tests.libraries.faulty import Behaviour, FakeSSH, saying, serving, silent
from tests.libraries.sshd import Sshd, free_port

SHORT = Deadlines(resolve=0.4, tcp=0.4, banner=0.4, key_exchange=0.4, login=0.4, channel=0.4, exec_answer=0.4)
LONGEST = 5.0
"""Seconds: one phase's deadline and what a busy machine adds."""
PASSWORD = Credentials("ops", password=Secret("right"))

pytestmark = pytest.mark.usefixtures("nothing_left")


@contextmanager
def failing_with(code: str, *, sent: bool = False) -> Iterator[None]:
    started = time.monotonic()
    with pytest.raises(LibraryError) as caught:
        yield
    assert caught.value.code == code
    assert caught.value.sent is sent
    assert time.monotonic() - started < LONGEST


def reach(port: int, credentials: Credentials = PASSWORD) -> None:
    connect(Endpoint("127.0.0.1", port), credentials, limits=SHORT).close()


def test_a_name_without_address_fails_to_resolve() -> None:
    with failing_with("resolve.failed"):
        connect(Endpoint("no-such-name.invalid"), PASSWORD, limits=replace(SHORT, resolve=1.0))


def test_a_port_where_nothing_listens_refuses() -> None:
    with failing_with("connect.refused"):
        reach(free_port())


def test_a_target_that_does_not_answer_times_out() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        crowd = [socket.socket() for _ in range(4)]
        for member in crowd:  # fill the queue, so that the kernel drops further requests
            member.setblocking(False)
            member.connect_ex(address)
        time.sleep(0.05)
        try:
            with failing_with("connect.timeout"):
                reach(address[1])
        finally:
            for member in crowd:
                member.close()


def test_an_address_without_a_route_is_unreachable() -> None:
    with failing_with("connect.unreachable"):
        connect(Endpoint("255.255.255.255"), PASSWORD, limits=SHORT)


def test_a_slow_address_does_not_hold_up_the_next_one(sshd: Sshd) -> None:
    refused = resolve("127.0.0.1", free_port(), deadline=after(1))
    good = resolve("127.0.0.1", sshd.port, deadline=after(1))
    dial([*refused, *good], SHORT, deadline=after(1)).close()


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        pytest.param(silent, "ssh.banner_timeout", id="nothing at all"),
        pytest.param(saying(*[b"S", b"S", b"H", b"-"] * 30, pause=0.15), "ssh.banner_timeout", id="drip"),
        pytest.param(saying(b"SSH-2.0-slow"), "ssh.banner_timeout", id="half a line"),
        pytest.param(saying(b"x" * 100_000), "ssh.not_ssh", id="100 kB without a line"),
        pytest.param(saying(b"hello\r\n" * 15_000), "ssh.not_ssh", id="100 kB of lines"),
        pytest.param(saying(b"220 mail.example ESMTP\r\n"), "ssh.not_ssh", id="mail"),
        pytest.param(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "ssh.not_ssh", id="HTTP"),
        pytest.param(saying(b"HTTP/1.1 400 B\r\n\r\n", then_close=True), "ssh.not_ssh", id="HTTP, closed"),
        pytest.param(saying(b"\x15\x03\x03\x00\x02\x02\x46", then_close=True), "ssh.not_ssh", id="TLS"),
        pytest.param(saying(then_close=True), "ssh.protocol_error", id="closed at once"),
        pytest.param(saying(b"SSH-1.5-old\n"), "ssh.no_common_algorithm", id="SSH 1"),
        pytest.param(saying(b"SSH-2.0-x\r\n"), "ssh.kex_timeout", id="silent after the greeting"),
        pytest.param(saying(b"SSH-2.0-x\r\n", b"\0\0\2", pause=0.1), "ssh.kex_timeout", id="half a packet"),
        pytest.param(
            saying(b"SSH-2.0-x\r\n\x7f\xff\xff\xff" + b"x" * 99), "ssh.protocol_error", id="2 GB packet"
        ),
        pytest.param(saying(b"SSH-2.0-x\r\n" + b"y" * 64), "ssh.protocol_error", id="rubbish"),
        pytest.param(
            saying(b"SSH-2.0-x\r\n", then_close=True), "ssh.protocol_error", id="closed in exchange"
        ),
    ],
)
def test_a_server_that_is_not_well_behaved_gets_its_code(behaviour: Behaviour, code: str) -> None:
    with serving(behaviour) as port, failing_with(code):
        reach(port)


def test_a_greeting_after_other_lines_is_found(sshd: Sshd) -> None:
    lines = b"Welcome to the jungle\r\nSSH-2.0-x\r\n"
    with serving(saying(lines)) as port, failing_with("ssh.kex_timeout"):
        reach(port)


def test_old_algorithms_are_not_accepted() -> None:
    with FakeSSH(ciphers=["aes128-cbc"]).running() as endpoint, failing_with("ssh.no_common_algorithm"):
        connect(endpoint, PASSWORD, limits=SHORT)


def test_silence_after_the_login_request_times_out() -> None:
    with FakeSSH(hold="auth").running() as endpoint, failing_with("auth.timeout"):
        connect(endpoint, PASSWORD, limits=SHORT)


def test_a_channel_that_never_opens_times_out_and_makes_the_connection_suspect() -> None:
    with FakeSSH(hold="channel").running() as endpoint:
        connection = connect(endpoint, PASSWORD, limits=SHORT)
        with failing_with("channel.timeout"):
            connection.open_channel("true", deadline=after(9))
        assert connection.suspect
        connection.close()


def test_a_refused_channel_leaves_the_connection_usable() -> None:
    with FakeSSH(refuse="channel").running() as endpoint:
        connection = connect(endpoint, PASSWORD, limits=SHORT)
        with failing_with("channel.refused"):
            connection.open_channel("true", deadline=after(9))
        assert connection.alive
        assert not connection.suspect
        connection.close()


def test_an_unanswered_command_times_out_and_may_have_started() -> None:
    with FakeSSH(hold="exec").running() as endpoint:
        connection = connect(endpoint, PASSWORD, limits=SHORT)
        with failing_with("exec.timeout", sent=True):
            connection.open_channel("true", deadline=after(9))
        connection.close()


def test_a_refused_command_was_not_started() -> None:
    with FakeSSH(refuse="exec").running() as endpoint:
        connection = connect(endpoint, PASSWORD, limits=SHORT)
        with failing_with("exec.refused"):
            connection.open_channel("true", deadline=after(9))
        connection.close()


def test_a_connection_that_ends_before_the_answer_may_have_started_the_command() -> None:
    with FakeSSH(close="exec").running() as endpoint:
        connection = connect(endpoint, PASSWORD, limits=SHORT)
        with failing_with("connection.lost", sent=True):
            connection.open_channel("true", deadline=after(9))
        connection.close()


def test_a_target_that_hangs_up_after_the_login_has_run_nothing() -> None:
    with FakeSSH(close="login").running() as endpoint:
        connection = connect(endpoint, PASSWORD, limits=SHORT)
        time.sleep(0.2)
        assert not connection.alive
        with failing_with("connection.lost"):
            connection.open_channel("true", deadline=after(9))
        connection.close()
