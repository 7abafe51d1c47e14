"""One command: output in order and in bounded memory, input with a deadline, an exit status or none."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator

import pytest

from automation.libraries.deadlines import after
from automation.libraries.errors import CommandTimeout
from automation.libraries.ssh_channel import SSHChannel
from automation.libraries.ssh_connection import SSHConnection, connect
from automation.libraries.ssh_engine import WINDOW
from automation.libraries.types import Channel, Connection
from tests.libraries.sshd import Sshd


@pytest.fixture
def connection(sshd: Sshd) -> Iterator[SSHConnection]:
    opened = connect(sshd.endpoint(), sshd.credentials)
    yield opened
    opened.close()


def run(connection: SSHConnection, command: str) -> SSHChannel:
    return connection.open_channel(command, deadline=after(10))


def finish(channel: SSHChannel) -> tuple[bytes, bytes]:
    out, err = bytearray(), bytearray()
    while not channel.ended:
        assert channel.wait(deadline=after(20))
        out += channel.read("stdout")
        err += channel.read("stderr")
    channel.close()
    return bytes(out), bytes(err)


def test_it_is_the_connection_and_channel_that_the_envelope_expects(connection: SSHConnection) -> None:
    opened: Connection = connection
    channel: Channel = opened.open_channel("true", deadline=after(10))
    channel.close()


def test_both_streams_and_the_exit_status_arrive(connection: SSHConnection) -> None:
    channel = run(connection, "echo out; echo err >&2; exit 3")
    assert finish(channel) == (b"out\n", b"err\n")
    assert channel.exit_status == 3
    assert not channel.lost


def test_a_command_ended_by_a_signal_has_no_exit_status(connection: SSHConnection) -> None:
    channel = run(connection, "kill -9 $$")
    finish(channel)
    assert channel.exit_status is None
    assert not channel.lost


def test_input_reaches_the_command_whole(connection: SSHConnection) -> None:
    channel = run(connection, "sha256sum; echo done")
    channel.send(b"x" * 5_000_000, deadline=after(20))
    channel.send_eof()
    out, _ = finish(channel)
    assert out.split()[0].decode() == hashlib.sha256(b"x" * 5_000_000).hexdigest()


def test_sending_to_a_command_that_does_not_read_ends_at_the_deadline(connection: SSHConnection) -> None:
    channel = run(connection, "sleep 60")
    started = time.monotonic()
    with pytest.raises(CommandTimeout):
        channel.send(b"x" * 20_000_000, deadline=after(0.5))
    assert time.monotonic() - started < 10
    channel.close()
    assert connection.alive


def test_sending_to_a_command_that_has_ended_is_dropped(connection: SSHConnection) -> None:
    channel = run(connection, "exit 4")
    channel.send(b"x" * 20_000_000, deadline=after(10))
    finish(channel)
    assert channel.exit_status == 4


def test_waiting_ends_at_the_deadline(connection: SSHConnection) -> None:
    channel = run(connection, "sleep 60")
    assert channel.wait(deadline=after(0.1)) is False
    channel.close()


def test_waiting_ends_when_another_thread_wakes_it(connection: SSHConnection) -> None:
    channel = run(connection, "sleep 60")
    threading.Timer(0.1, channel.wake).start()
    assert channel.wait(deadline=after(10)) is True
    channel.wake()  # before the wait it counts as well
    assert channel.wait(deadline=after(10)) is True
    assert channel.wait(deadline=after(0.05)) is False
    channel.close()


def test_output_nobody_reads_makes_the_target_wait_in_bounded_memory(connection: SSHConnection) -> None:
    channel = run(connection, "head -c 50000000 /dev/zero; echo finished >&2")
    time.sleep(0.5)
    assert channel._session._unread_bytes <= WINDOW
    assert channel.read("stderr") == b""
    out, err = finish(channel)
    assert (len(out), err) == (50_000_000, b"finished\n")


def test_a_command_that_closes_its_output_early_is_waited_for_without_spinning(
    connection: SSHConnection,
) -> None:
    channel = run(connection, "exec >&- 2>&-; sleep 0.6; exit 5")
    started = time.process_time()
    finish(channel)
    assert time.process_time() - started < 0.3
    assert channel.exit_status == 5


def test_channels_run_side_by_side_on_one_connection(connection: SSHConnection) -> None:
    channels = [run(connection, f"sleep 0.2; echo {number}") for number in range(8)]
    assert [finish(channel)[0] for channel in channels] == [b"%d\n" % number for number in range(8)]


def test_closing_twice_is_harmless(connection: SSHConnection) -> None:
    channel = run(connection, "sleep 60")
    channel.close()
    channel.close()
    assert channel.ended
    assert not channel.lost
