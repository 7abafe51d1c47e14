"""A changing script starts at most once on a Windows target, whatever happens to connections and workers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from automation.libraries.envelope import End, Fenced, Order, Refused
from automation.libraries.errors import LibraryError
from automation.libraries.types import Stream
from automation.libraries.windows import envelope
from automation.libraries.windows.envelope import Ids, ids_of
from opsportal.simulated_windows import Break, Piece, Settings, SimulatedWindows
from tests.libraries.windows.conftest import Caller, verbs

PIECES = [Piece(b"one\r\n"), Piece(b"two\r\n", after=0.5), Piece(b"three\r\n", after=0.5)]


@pytest.fixture
def interrupted(windows: SimulatedWindows) -> Callable[[Order], Caller]:
    """A worker that starts an order and dies after the first output."""

    def start(order: Order) -> Caller:
        first = Caller(windows)
        dead = threading.Event()

        def hear_and_die(stream: Stream, data: bytes) -> None:
            first.hear(stream, data)
            dead.set()
            first.connection.cut()

        first_hear = replace_hear(first, hear_and_die)
        thread = threading.Thread(target=first_hear, args=(order,))
        thread.start()
        assert dead.wait(5)
        thread.join(20)
        first.connection.close()
        return first

    return start


def replace_hear(caller: Caller, hear: Callable[[Stream, bytes], None]) -> Callable[[Order], None]:
    def run(order: Order) -> None:
        with pytest.raises(LibraryError):
            envelope.run(
                caller.connection,
                order,
                on_started=caller.started.set,
                on_output=hear,
                control=caller.control,
                deadline=time.monotonic() + 5,
            )

    return run


def test_the_probe_tells_spool_boot_and_login(caller: Caller) -> None:
    found = caller.probe()
    assert found.spool and found.spool_id and "ops" in found.user and found.up_seconds > 0


def test_a_script_runs_to_its_end_and_leaves_no_shell(caller: Caller, windows: SimulatedWindows) -> None:
    script = "Write-Output 'x'; Add-Content -Path $env:OPSPORTAL_OUTPUT -Value 'version=1.2'; exit 4"
    end = caller.run(caller.order(script))
    assert isinstance(end, End)
    assert (end.how, end.exit_code, end.outputs) == ("ended", 4, {"version": "1.2"})
    assert caller.started.is_set() and caller.output == b"x\r\n"
    caller.connection.close()
    assert windows.shells == []


def test_the_ids_are_told_before_anything_is_sent_and_are_those_used(
    caller: Caller, windows: SimulatedWindows
) -> None:
    order = caller.order("Write-Output 1")
    caller.connection.drop_shell()
    before = len(windows.calls)
    seen: list[int] = []
    caller.intents = Noting(lambda: seen.append(len(windows.calls)))
    caller.run(order)
    assert seen == [before] and caller.intents == [ids_of(order.attempt)]
    received = next(call for call in windows.calls[before:] if call.verb == "Receive")
    ids = ids_of(order.attempt)
    assert (received.shell_id.upper(), received.command_id.upper()) == (ids.shell_id, ids.command_id)


class Noting(list[Ids]):
    def __init__(self, note: Callable[[], None]) -> None:
        super().__init__()
        self._note = note

    def append(self, ids: Ids) -> None:
        self._note()
        super().append(ids)


def test_the_same_attempt_never_starts_twice(caller: Caller, windows: SimulatedWindows) -> None:
    order = caller.order("Write-Output 'ran'")
    caller.run(order)
    assert caller.run(order) == Refused("exists")
    assert len(windows.played) == 1


def test_an_attempt_that_was_never_sent_is_fenced_and_cannot_start_any_more(caller: Caller) -> None:
    order = caller.order("Write-Output 'ran'")
    fenced = caller.reclaim(order)
    assert isinstance(fenced, Fenced) and fenced.proven
    assert caller.run(order) == Refused("fenced")


def test_a_fence_proves_nothing_on_a_machine_that_was_restarted_since(caller: Caller) -> None:
    fenced = caller.reclaim(caller.order("exit"), age=10_000_000)
    assert isinstance(fenced, Fenced) and not fenced.proven


def test_a_changed_spool_is_refused(caller: Caller) -> None:
    order = caller.order("exit")
    assert caller.run(replace(order, spool_id="other")) == Refused("spool.changed")


@pytest.mark.parametrize("verb", ["Create", "Command"])
def test_a_loss_before_the_input_was_sent_starts_nothing(
    caller: Caller, windows: SimulatedWindows, verb: str
) -> None:
    order = caller.order("Write-Output 'ran'")
    windows.inject(Break.LOSE_REPLY, verb)
    with pytest.raises(LibraryError) as caught:
        caller.run(order)
    assert not caught.value.sent and not windows.played
    assert isinstance(caller.reclaim(order), Fenced)
    caller.connection.close()
    assert windows.shells == []


def test_another_worker_reads_on_after_the_first_died(
    windows: SimulatedWindows, caller: Caller, interrupted: Callable[[Order], Caller]
) -> None:
    windows.script("slow", pieces=PIECES, exit_code=3)
    order = caller.order("slow")
    first = interrupted(order)
    end = caller.reclaim(order, seen=len(first.output))
    assert isinstance(end, End) and (end.how, end.exit_code) == ("ended", 3)
    assert end.incomplete and end.stdout_length == len(first.output) + len(caller.output)
    assert (first.output + caller.output).endswith(b"three\r\n")
    assert len(windows.played) == 1


def test_a_worker_killed_in_mid_command_is_followed_by_one_that_finds_its_one_start(
    windows: SimulatedWindows, caller: Caller
) -> None:
    windows.script("slow", pieces=PIECES)
    order = caller.order("slow")
    worker = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(windows.port), order.attempt, order.spool or "", order.spool_id],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"heard\n"
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    end = caller.reclaim(order)
    assert isinstance(end, End) and (end.how, end.exit_code) == ("ended", 0)
    assert caller.output.endswith(b"three\r\n") and len(windows.played) == 1


KILLED = """
import sys, time
from automation.libraries.envelope import Control, Order
from automation.libraries.windows import envelope
from automation.libraries.windows.connection import connect
from automation.libraries.windows.script import pack_script
from automation.libraries.windows.types import WinRMEndpoint
from tests.libraries.windows.conftest import OPS
port, attempt, spool, spool_id = sys.argv[1:]
connection = connect(WinRMEndpoint("127.0.0.1", int(port), https=False, method="ntlm"), OPS)
order = Order(attempt, "test", pack_script("slow"), 20, spool, spool_id)
envelope.run(connection, order, on_started=lambda: None, on_output=lambda s, d: print("heard", flush=True),
             control=Control(), deadline=time.monotonic() + 30)
"""


def test_an_end_is_known_by_the_guard_when_shell_and_output_are_gone(
    windows: SimulatedWindows, caller: Caller, interrupted: Callable[[Order], Caller]
) -> None:
    windows.script("slow", pieces=[Piece(b"one\r\n")], seconds=0.3, exit_code=7)
    order = caller.order("slow")
    interrupted(order)
    time.sleep(0.5)
    windows.expire_shells()
    caller.connection.reconnect()
    end = caller.reclaim(order)
    assert isinstance(end, End) and (end.how, end.exit_code, end.incomplete) == ("ended", 7, True)


def test_a_shell_that_took_its_script_with_it_is_told_as_such(
    windows: SimulatedWindows, caller: Caller, interrupted: Callable[[Order], Caller]
) -> None:
    windows.script("slow", pieces=[Piece(b"one\r\n")], hang=True)
    order = caller.order("slow")
    interrupted(order)
    windows.expire_shells()
    end = caller.reclaim(order)
    assert isinstance(end, End) and end.how == "lost_guard" and end.exit_code is None


def test_a_restart_in_between_is_told_as_such(
    windows: SimulatedWindows, caller: Caller, interrupted: Callable[[Order], Caller]
) -> None:
    windows.script("slow", pieces=[Piece(b"one\r\n")], hang=True)
    order = caller.order("slow")
    interrupted(order)
    windows.expire_shells()
    windows.machine.boot_id += 1
    end = caller.reclaim(order)
    assert isinstance(end, End) and end.how == "rebooted"


def test_what_goes_on_after_a_loss_can_be_cancelled(
    windows: SimulatedWindows, caller: Caller, interrupted: Callable[[Order], Caller]
) -> None:
    windows.script("slow", pieces=[Piece(b"one\r\n")], hang=True)
    order = caller.order("slow")
    interrupted(order)
    threading.Timer(0.3, caller.control.cancel).start()
    end = caller.reclaim(order)
    assert isinstance(end, End) and (end.how, end.left) == ("cancelled", ())


def test_a_timeout_ends_the_script_and_is_known(windows: SimulatedWindows, caller: Caller) -> None:
    windows.script("hang", hang=True)
    end = caller.run(caller.order("hang", timeout=1))
    assert isinstance(end, End) and (end.how, end.exit_code, end.left) == ("timed_out", None, ())


def test_old_guard_files_are_forgotten_on_request(windows: SimulatedWindows, caller: Caller) -> None:
    old = caller.order("exit")
    caller.run(old)
    caller.run(replace(caller.order("exit"), forget=(old.attempt,)))
    assert windows.machine.read(f"{old.spool}\\{old.attempt}.guard") is None


def test_ids_that_the_target_chose_are_told_and_lead_back() -> None:
    with SimulatedWindows(Settings(client_ids="ignore")) as target:
        target.script("slow", pieces=PIECES)
        caller = Caller(target)
        end = caller.run(caller.order("slow"))
        caller.connection.close()
        assert isinstance(end, End) and len(caller.intents) == 2
        assert not caller.intents[1].certain and verbs(target).count("Create") >= 1


@pytest.mark.parametrize("client_ids", ["ignore", "refuse"])
def test_without_ids_of_ours_another_worker_learns_the_end_and_that_output_is_missing(
    client_ids: str,
) -> None:
    settings = Settings(client_ids=client_ids)  # type: ignore[arg-type]  # one of its words
    with SimulatedWindows(settings) as target:
        target.script("slow", pieces=[Piece(b"one\r\n"), Piece(b"two\r\n", after=0.5)], exit_code=7)
        first, second = Caller(target), Caller(target)
        order = first.order("slow")
        worker = threading.Thread(target=lambda: _until_cut(first, order))
        worker.start()
        assert first.started.wait(10)
        first.connection.cut()
        worker.join(10)
        first.connection.close()
        end = second.reclaim(order)
        second.connection.close()
        assert isinstance(end, End) and (end.how, end.exit_code, end.incomplete) == ("ended", 7, True)
        assert second.output == b"" and target.machine.count("script started") == 1


def _until_cut(caller: Caller, order: Order) -> None:
    with contextlib.suppress(LibraryError):
        caller.run(order)
