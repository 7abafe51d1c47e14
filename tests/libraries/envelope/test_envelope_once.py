"""At most one start, whatever breaks: cut uploads, fences, doubles, lost connections, dead guards."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from automation.libraries.envelope import Control, End, Fenced, Order, Refused, run
from automation.libraries.envelope_upload import Header, Upload, build_upload
from automation.libraries.errors import ConnectionLost
from automation.libraries.types import Channel, Connection, Stream
from tests.libraries.envelope.local_target import LocalChannel, LocalConnection
from tests.libraries.envelope.login import Login, eventually, processes_with, soon


def upload_of(order: Order) -> Upload:
    header = Header(
        "run",
        attempt=order.attempt,
        installation=order.installation,
        spool=order.spool,
        spool_id=order.spool_id,
        timeout=60,
        grace=1,
        output_limit=order.output_limit,
        guard=order.guard,
        detach=order.detach if order.guard == "perl" else None,
    )
    return build_upload(header, order.payload, become=False)


def cut_points(upload: Upload) -> list[int]:
    """Every byte around a border between parts, and some in each part."""
    data = upload.data
    payload = data.index(b"touch")
    lines = [at for at in range(payload - 400, len(data)) if data[at : at + 1] == b"\n"]
    borders = {at + shift for at in [0, *lines, len(data)] for shift in (-2, -1, 0, 1, 2)}
    inside = range(5, len(data), len(data) // 20)
    return sorted(at for at in {*borders, *inside} if 0 <= at < len(data))


def open_with(login: Login, upload: Upload, data: bytes) -> LocalChannel:
    assert isinstance(login.connection, LocalConnection)
    channel = login.connection.open_channel(upload.command, deadline=soon())
    channel.send(data, deadline=soon())
    return channel


def test_an_upload_cut_anywhere_runs_nothing(any_login: Login, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    points = cut_points(upload_of(any_login.order(b"touch %s\n" % bytes(ran))))
    for at in points:
        upload = upload_of(any_login.order(b"touch %s\n" % bytes(ran)))
        channel = open_with(any_login, upload, upload.data[:at])
        channel.close()
    eventually(lambda: not processes_with(any_login.mark), within=5)
    assert len(points) > 30 and not ran.exists()


def test_a_fence_beats_an_upload_that_was_stalled(any_login: Login, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    order = any_login.order(b"touch %s\n" % bytes(ran))
    upload = upload_of(order)
    channel = open_with(any_login, upload, upload.data[:-20])
    fenced, _ = any_login.reclaim(order.attempt)
    channel.send(upload.data[-20:], deadline=soon())
    said = b""
    while not channel.ended and channel.wait(deadline=soon()):
        said += channel.read("stdout")
    assert fenced == Fenced(True, any_login.probe.boot, any_login.probe.spool_id or "")
    assert b"REFUSED exists" in said and not ran.exists()


def test_a_fence_is_repeatable_and_final(any_login: Login) -> None:
    order = any_login.order(b"true")
    first, _ = any_login.reclaim(order.attempt)
    second, _ = any_login.reclaim(order.attempt)
    refused, _ = any_login.run(order)
    assert first == second and isinstance(first, Fenced) and first.proven
    assert refused == Refused("exists")


def test_a_fence_proves_nothing_for_an_intent_older_than_the_boot(login: Login) -> None:
    fenced, _ = login.reclaim("0" * 31 + "1", age=1e9)
    assert isinstance(fenced, Fenced) and not fenced.proven


class SlowConnection:
    """Takes a second to open a channel; meanwhile the intent and the target's boot both grow older."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.alive = True

    def open_channel(self, command: str, *, deadline: float) -> Channel:
        time.sleep(1)
        return self._connection.open_channel(command, deadline=deadline)

    def close(self) -> None:
        self._connection.close()


@pytest.mark.parametrize("older", [-5, 0.3])
def test_the_time_that_asking_takes_makes_no_boot_older_than_the_intent(login: Login, older: float) -> None:
    login.connection = SlowConnection(login.connection)
    fenced, _ = login.reclaim("0" * 31 + "1", age=login.probe.up_seconds + older)
    assert isinstance(fenced, Fenced) and fenced.proven is (older < 0)


def test_a_fence_proves_nothing_in_a_spool_that_is_new(login: Login) -> None:
    assert login.probe.spool
    (Path(login.probe.spool) / "id").write_text("another\n")
    fenced, _ = login.reclaim("0" * 31 + "1")
    assert isinstance(fenced, Fenced) and not fenced.proven and fenced.spool_id == "another"
    refused, _ = login.run(b"true")
    assert refused == Refused("spool.changed")


def test_a_fence_proves_nothing_where_the_spool_is_gone(login: Login) -> None:
    assert login.probe.spool
    Path(login.probe.spool).rename(Path(login.probe.spool + ".away"))
    fenced, _ = login.reclaim("0" * 31 + "1")
    assert isinstance(fenced, Fenced) and not fenced.proven
    assert login.run(b"true")[0] == Refused("spool.missing")


def test_the_same_attempt_cannot_run_twice(any_login: Login, tmp_path: Path) -> None:
    order = any_login.order(b"echo x >>%s" % bytes(tmp_path / "count"))
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(any_login.run(order)[0])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count(Refused("exists")) == 3
    assert (tmp_path / "count").read_text() == "x\n"


def test_fences_and_starts_at_once_never_both_win(login: Login, tmp_path: Path) -> None:
    for round_number in range(15):
        ran = tmp_path / f"ran{round_number}"
        order = login.order(b"echo >>%s" % bytes(ran))
        started = threading.Thread(target=login.run, args=(order,))
        started.start()
        time.sleep(round_number * 0.002)
        answer, _ = login.reclaim(order.attempt)
        started.join()
        if isinstance(answer, Fenced):
            assert answer.proven and not ran.exists()
        else:
            assert answer.how == "ended" and ran.read_text() == "\n"


class Cutter:
    """Takes output until it has enough, then kills the channel under the envelope."""

    def __init__(self, login: Login, *, after: int) -> None:
        self.login, self.after = login, after
        self.got: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}

    def take(self, stream: Stream, data: bytes) -> None:
        self.got[stream] += data
        if sum(map(len, self.got.values())) >= self.after:
            raise ConnectionLost("The test pulled the cable")

    def run(self, order: Order, started: Callable[[], None] = lambda: None) -> None:
        with pytest.raises(ConnectionLost):
            run(
                self.login.connection,
                order,
                on_started=started,
                on_output=self.take,
                control=Control(),
                deadline=soon(),
            )


@pytest.mark.parametrize("after", [1, 700, 3000])
def test_a_script_outlives_its_connection_and_is_read_on_without_a_gap(any_login: Login, after: int) -> None:
    script = (
        b"for i in $(seq 400); do echo out$i; echo err$i >&2; [ $((i % 40)) = 0 ] && sleep 0.02; done; exit 7"
    )
    order = any_login.order(script)
    cutter = Cutter(any_login, after=after)
    cutter.run(order)
    offsets = (len(cutter.got["stdout"]), len(cutter.got["stderr"]))
    end, rest = any_login.reclaim(order.attempt, offsets=offsets)
    assert isinstance(end, End) and (end.how, end.exit_code) == ("ended", 7)
    assert cutter.got["stdout"] + rest.stdout == b"".join(b"out%d\n" % i for i in range(1, 401))
    assert cutter.got["stderr"] + rest.stderr == b"".join(b"err%d\n" % i for i in range(1, 401))


def test_a_lost_connection_leaves_no_shell_waiting_but_the_keeper(login: Login, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    order = login.order(b"echo; until [ -e %s ]; do sleep 0.05; done" % bytes(gate))
    Cutter(login, after=1).run(order)
    assert isinstance(login.connection, LocalConnection)
    eventually(lambda: login.connection.channels[-1].process.poll() is not None)  # type: ignore[attr-defined]
    gate.touch()
    end, _ = login.reclaim(order.attempt)
    assert isinstance(end, End) and end.exit_code == 0


def test_a_cancel_reaches_a_script_that_was_reclaimed(login: Login) -> None:
    order = login.order(b"echo; sleep 60")
    Cutter(login, after=1).run(order)
    control = Control()
    control.cancel()
    end, _ = login.reclaim(order.attempt, control=control)
    assert isinstance(end, End) and end.how == "cancelled"


def test_an_ended_attempt_tells_its_end_again_and_again(login: Login) -> None:
    order = login.order(b"echo hello; exit 4")
    login.run(order)
    for _ in range(2):
        end, output = login.reclaim(order.attempt, offsets=(2, 0))
        assert isinstance(end, End) and (end.exit_code, end.stdout_length) == (4, 6)
        assert output.stdout == b"llo\n"


def keeper_of(login: Login, order: Order) -> int:
    """The process that the file `running` names."""
    return int((login.directory(order.attempt) / "running").read_text().split()[0])


def test_a_killed_keeper_is_a_lost_guard_and_the_script_is_named(login: Login, tmp_path: Path) -> None:
    order = login.order(b"sleep 2")
    results: list[object] = []

    def run_or_lose() -> None:
        try:
            results.append(login.run(order)[0])
        except ConnectionLost:  # the guard in Perl is one process: nobody is left to tell
            results.append(login.reclaim(order.attempt)[0])

    thread = threading.Thread(target=run_or_lose)
    thread.start()
    eventually((login.directory(order.attempt) / "session").exists)
    os.kill(keeper_of(login, order), signal.SIGKILL)
    thread.join()
    (end,) = results
    assert isinstance(end, End) and (end.how, end.exit_code) == ("lost_guard", None)
    assert any(name.startswith("bash:") for name in end.left)
    again, _ = login.reclaim(order.attempt)
    assert isinstance(again, End) and again.how == "lost_guard"


def test_an_attempt_from_before_a_reboot_has_ended_with_it(login: Login) -> None:
    order = login.order(b"echo said")
    login.run(order)
    record = next(login.directory(order.attempt).glob("exit.*")).rename(
        login.directory(order.attempt) / "running"
    )
    record.write_text("1 1 another-boot.25\n")
    end, output = login.reclaim(order.attempt)
    assert isinstance(end, End) and (end.how, end.exit_code) == ("rebooted", None)
    assert output.stdout == b"said\n"
