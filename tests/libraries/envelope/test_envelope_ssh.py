"""The envelope over the library's own SSH connections and a real sshd."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from automation.libraries.envelope import Control, End, Fenced, run
from automation.libraries.errors import ConnectionLost
from automation.libraries.ssh_connection import SSHConnection, connect
from tests.libraries.envelope.login import Login, Output, eventually, soon
from tests.libraries.sshd import Sshd


@pytest.fixture
def login(sshd: Sshd, tmp_path: Path) -> Iterator[Login]:
    connection = connect(sshd.endpoint(), sshd.credentials)
    yield Login(connection, spool=str(tmp_path / "spool"))
    connection.close()


def again(login: Login, sshd: Sshd) -> Login:
    """The same account over a new connection."""
    return Login(connect(sshd.endpoint(), sshd.credentials), spool=str(Path(login.probe.spool or "").parent))


def test_a_script_runs_and_all_it_said_comes_back(login: Login) -> None:
    end, output = login.run(b'echo out; echo err >/dev/stderr; echo k=v >>"$OPSPORTAL_OUTPUT"; exit 3')
    assert end == End("ended", 3, {"k": "v"}, 4, 4, ())
    assert (output.stdout, output.stderr) == (b"out\n", b"err\n")


def test_a_script_outlives_its_connection_and_is_read_on(login: Login, sshd: Sshd, tmp_path: Path) -> None:
    order = login.order(
        b"echo one; until [ -e %s ]; do sleep 0.05; done; echo two; exit 7" % bytes(tmp_path / "gate")
    )

    def cut(_stream: str, _data: bytes) -> None:
        threading.Thread(target=login.connection.close).start()

    with pytest.raises(ConnectionLost) as caught:
        run(
            login.connection,
            order,
            on_started=lambda: None,
            on_output=cut,
            control=Control(),
            deadline=soon(),
        )
    assert caught.value.sent
    (tmp_path / "gate").touch()
    other = again(login, sshd)
    end, output = other.reclaim(order.attempt, offsets=(4, 0))
    other.connection.close()
    assert isinstance(end, End) and (end.exit_code, output.stdout) == (7, b"two\n")


def test_a_cancel_from_another_thread_ends_the_script(login: Login, tmp_path: Path) -> None:
    control = Control()
    started = threading.Timer(0.3, control.cancel)
    started.start()
    end, _ = login.run(login.order(b"sleep 60"), control)
    assert isinstance(end, End) and (end.how, end.exit_code) == ("cancelled", 143)


def test_a_fence_over_ssh_is_proven(login: Login) -> None:
    fenced, _ = login.reclaim("c" * 32)
    assert isinstance(fenced, Fenced) and fenced.proven


def test_many_orders_share_one_connection_and_leave_no_channel(login: Login) -> None:
    assert isinstance(login.connection, SSHConnection)
    for _ in range(12):
        end, _ = login.run(b"true")
        assert isinstance(end, End) and end.exit_code == 0


def test_a_hundred_megabytes_pass_in_bounded_memory(login: Login) -> None:
    seen = {"stdout": 0, "stderr": 0}

    def count(stream: str, data: bytes) -> None:
        seen[stream] += len(data)

    login.run(b"head -c 3000000 /dev/zero")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    end = run(
        login.connection,
        login.order(b"head -c 104857600 /dev/zero"),
        on_started=lambda: None,
        on_output=count,
        control=Control(),
        deadline=soon(120),
    )
    assert isinstance(end, End) and seen["stdout"] == end.stdout_length == 104857600
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024


def test_a_reader_that_is_slow_holds_up_nobody_but_itself(login: Login, tmp_path: Path) -> None:
    """The script ends in its own time: its output waits on the target, not in a pipe."""
    gate, done = threading.Event(), tmp_path / "done"
    output = Output()

    def slow(stream: str, data: bytes) -> None:
        gate.wait(20)
        output.take("stdout", data)

    order = login.order(b"head -c 20000000 /dev/zero; touch %s" % bytes(done))
    thread = threading.Thread(
        target=run,
        args=(login.connection, order),
        kwargs={"on_started": lambda: None, "on_output": slow, "control": Control(), "deadline": soon()},
    )
    thread.start()
    eventually(done.exists, within=15)
    gate.set()
    thread.join()
    assert len(output.stdout) == 20_000_000
