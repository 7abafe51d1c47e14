"""Faults on request: each does what its name says, and only as often as asked."""

from __future__ import annotations

import threading
import time
import xml.etree.ElementTree as ElementTree

import pytest
import requests
from winrm.exceptions import WinRMTransportError, WSManFaultError

from opsportal.simulated_windows import Break, Piece, SimulatedWindows
from tests.simulated_windows.conftest import client, encoded, run, wait_for

GONE = requests.exceptions.ConnectionError
WORK = encoded("Add-Content C:\\work.txt done")


def drop_when_receiving(target: SimulatedWindows) -> None:
    wait_for(lambda: target.calls and target.calls[-1].verb == "Receive")
    target.drop_connections()


def test_a_dropped_request_does_nothing(windows: SimulatedWindows) -> None:
    windows.inject(Break.DROP, "Command")
    protocol = client(windows)
    shell = protocol.open_shell()
    with pytest.raises(GONE):
        protocol.run_command(shell, WORK)
    assert windows.machine.effects == []
    assert run(client(windows), WORK)[2] == 0


def test_a_lost_reply_is_lost_after_the_work(windows: SimulatedWindows) -> None:
    windows.inject(Break.LOSE_REPLY, "Command")
    protocol = client(windows)
    shell = protocol.open_shell()
    with pytest.raises(GONE):
        protocol.run_command(shell, WORK)
    wait_for(lambda: windows.machine.count("file appended") == 1)


def test_a_busy_target_answers_503(windows: SimulatedWindows) -> None:
    windows.inject(Break.BUSY, times=2)
    for _ in range(2):
        with pytest.raises(WinRMTransportError, match="503"):
            client(windows).open_shell()
    assert client(windows).open_shell()


@pytest.mark.parametrize("transport", ["basic", "ntlm"])
def test_truncated_xml_arrives_as_such(transport: str, windows: SimulatedWindows) -> None:
    windows.inject(Break.TRUNCATE, "Create")
    with pytest.raises(ElementTree.ParseError):
        client(windows, transport).open_shell()


def test_half_an_answer_ends_with_its_connection(windows: SimulatedWindows) -> None:
    windows.inject(Break.HALF, "Create")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client(windows).open_shell()


def test_a_late_answer_is_late(windows: SimulatedWindows) -> None:
    windows.inject(Break.DELAY, "Create", seconds=0.5)
    began = time.monotonic()
    client(windows).open_shell()
    assert time.monotonic() - began >= 0.5


def test_a_target_that_hangs_never_answers(windows: SimulatedWindows) -> None:
    windows.inject(Break.HANG, "Create")
    with pytest.raises(requests.exceptions.ReadTimeout):
        client(windows, operation_timeout_sec=1, read_timeout_sec=2).open_shell()


def test_an_expired_shell_is_not_found(windows: SimulatedWindows) -> None:
    windows.inject(Break.EXPIRE, "Command")
    protocol = client(windows)
    shell = protocol.open_shell()
    with pytest.raises(WSManFaultError) as raised:
        protocol.run_command(shell, WORK)
    assert raised.value.wsman_fault_code == 2150858843


def test_an_answer_may_claim_to_be_one_to_another_question(windows: SimulatedWindows) -> None:
    windows.inject(Break.WRONG_RELATION, "Delete")
    protocol = client(windows)
    shell = protocol.open_shell()
    with pytest.raises(AssertionError):
        protocol.close_shell(shell)


def test_a_broken_seal_is_noticed(windows: SimulatedWindows) -> None:
    windows.inject(Break.BAD_SEAL, "Create")
    with pytest.raises(Exception, match=r"(?i)invalid|mic|signature|verif"):
        client(windows, "ntlm").open_shell()


def test_a_fault_may_wait_for_good_requests_first(windows: SimulatedWindows) -> None:
    windows.inject(Break.DROP, "Receive", skip=1)
    assert run(client(windows), "hostname")[2] == 0
    with pytest.raises(GONE):
        run(client(windows), "hostname")


def test_output_whose_client_went_away_is_kept_for_the_next_who_asks(windows: SimulatedWindows) -> None:
    windows.script("slow", pieces=[Piece(b"kept", after=1.5)])
    protocol = client(windows, operation_timeout_sec=1, read_timeout_sec=2)
    shell = protocol.open_shell()
    command = protocol.run_command(shell, encoded("slow"))
    threading.Thread(target=drop_when_receiving, args=[windows]).start()
    with pytest.raises(GONE):
        protocol.get_command_output(shell, command)
    assert client(windows).get_command_output(shell, command)[0] == b"kept"


def test_a_restarted_target_has_forgotten_its_shells_and_nothing_else(windows: SimulatedWindows) -> None:
    run(client(windows), WORK)
    shell = client(windows).open_shell()
    before = windows.port
    windows.stop()
    with pytest.raises(GONE):
        client(windows).open_shell()
    windows.start()
    assert windows.port == before
    with pytest.raises(WSManFaultError):
        client(windows).run_command(shell, "hostname")
    assert run(client(windows), encoded("Get-Content C:\\work.txt"))[0] == b"done\r\n"
