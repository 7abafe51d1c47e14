"""The life of shells and commands, asked for by pywinrm."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

import pytest
import xmltodict
from winrm.exceptions import WinRMOperationTimeoutError, WSManFaultError
from winrm.protocol import Protocol

from opsportal.simulated_windows import Piece, Quotas, Settings, SimulatedWindows
from tests.simulated_windows.conftest import EASY, client, encoded, run

CONTROL_C_EXIT = 0xC000013A


def create(protocol: Protocol, shell_id: str) -> str:
    """A shell with an id of the client's choice, which pywinrm cannot ask for by itself."""
    header = protocol.build_wsman_header(
        "http://schemas.xmlsoap.org/ws/2004/09/transfer/Create",
        "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd",
    )
    body = {"rsp:Shell": {"@ShellId": shell_id, "rsp:InputStreams": "stdin"}}
    message: dict[str, Any] = {"env:Envelope": {**header, "env:Body": body}}
    answer = protocol.send_message(xmltodict.unparse(message))
    return answer.decode().partition('Name="ShellId">')[2].partition("<")[0]


def signal(protocol: Protocol, shell: str, command: str, code: str) -> None:
    uri = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
    header = protocol.build_wsman_header(f"{uri}/Signal", f"{uri}/cmd", shell)
    body = {"rsp:Signal": {"@CommandId": command, "rsp:Code": f"{uri}/signal/{code}"}}
    message: dict[str, Any] = {"env:Envelope": {**header, "env:Body": body}}
    protocol.send_message(xmltodict.unparse(message))


def test_a_registered_script_yields_what_was_registered(windows: SimulatedWindows) -> None:
    windows.script("inventory", stdout="Ω漢🙂\r\n", stderr="careful", exit_code=3)
    assert run(client(windows), encoded("inventory")) == ("Ω漢🙂\r\n".encode(), b"careful", 3)


def test_a_closed_shell_leaves_nothing_behind(windows: SimulatedWindows) -> None:
    windows.script("inventory", stdout="done")
    run(client(windows), encoded("inventory"))
    assert windows.shells == []
    assert [call.verb for call in windows.calls] == ["Create", "Command", "Receive", "Signal", "Delete"]


def test_output_is_handed_on_while_the_command_still_runs(windows: SimulatedWindows) -> None:
    windows.script("slow", pieces=[Piece(b"first"), Piece(b"last", after=1)])
    protocol = client(windows)
    shell = protocol.open_shell()
    command = protocol.run_command(shell, encoded("slow"))
    assert protocol.get_command_output_raw(shell, command)[0] == b"first"
    assert windows.shells[0].commands[command].running
    assert protocol.get_command_output(shell, command)[0] == b"last"
    protocol.close_shell(shell)


def test_a_receive_without_news_ends_in_the_fault_of_its_timeout(windows: SimulatedWindows) -> None:
    windows.script("quiet", hang=True)
    protocol = client(windows, operation_timeout_sec=1, read_timeout_sec=5)
    shell = protocol.open_shell()
    command = protocol.run_command(shell, encoded("quiet"))
    with pytest.raises(WinRMOperationTimeoutError):
        protocol.get_command_output_raw(shell, command)
    protocol.close_shell(shell)


def test_bytes_of_one_letter_may_come_in_two_answers(windows: SimulatedWindows) -> None:
    windows.script("split", pieces=[Piece(b"\xe6\xbc"), Piece(b"\xa2", after=1)])
    protocol = client(windows)
    shell = protocol.open_shell(codepage=65001)
    command = protocol.run_command(shell, encoded("split"))
    assert protocol.get_command_output_raw(shell, command)[0] == b"\xe6\xbc"
    assert protocol.get_command_output(shell, command)[0] == b"\xa2"
    protocol.close_shell(shell)


def test_ten_megabytes_arrive_whole_in_answers_that_keep_to_the_clients_limit(
    windows: SimulatedWindows,
) -> None:
    windows.script("much", fill=10_000_000)
    stdout, _, code = run(client(windows), encoded("much"))
    assert (len(stdout), code) == (10_000_000, 0)


def test_output_that_nobody_fetches_makes_the_program_wait(windows: SimulatedWindows) -> None:
    windows.script("endless", fill=100_000_000)
    protocol = client(windows)
    shell = protocol.open_shell()
    protocol.run_command(shell, encoded("endless"))
    time.sleep(0.3)
    (command,) = windows.shells[0].commands.values()
    assert command.running
    assert command.waiting < 8 * 1024 * 1024
    protocol.close_shell(shell)


def test_a_client_may_choose_the_id_of_a_shell(windows: SimulatedWindows) -> None:
    chosen = str(uuid.uuid4()).upper()
    assert create(client(windows), chosen) == chosen
    assert [shell.id for shell in windows.shells] == [chosen]


def test_an_id_that_is_taken_is_refused(windows: SimulatedWindows) -> None:
    chosen = str(uuid.uuid4()).upper()
    create(client(windows), chosen)
    with pytest.raises(WSManFaultError, match="already exists"):
        create(client(windows), chosen)


def test_a_target_may_refuse_ids_of_clients() -> None:
    with (
        SimulatedWindows(Settings(logins=EASY, client_ids="refuse")) as target,
        pytest.raises(WSManFaultError) as raised,
    ):
        create(client(target), str(uuid.uuid4()))
    assert raised.value.wsman_fault_code == 2150858817


def test_a_target_may_choose_ids_itself_whatever_the_client_asked_for() -> None:
    with SimulatedWindows(Settings(logins=EASY, client_ids="ignore")) as target:
        chosen = str(uuid.uuid4()).upper()
        assert create(client(target), chosen) not in ("", chosen)


def test_terminate_ends_a_command_and_aborts_the_receive_that_waits(windows: SimulatedWindows) -> None:
    windows.script("hang", hang=True)
    protocol = client(windows)
    shell = protocol.open_shell()
    command = protocol.run_command(shell, encoded("hang"))
    threading.Timer(0.3, client(windows).cleanup_command, [shell, command]).start()
    with pytest.raises(WSManFaultError) as raised:
        protocol.get_command_output(shell, command)
    assert raised.value.wsman_fault_code == 995
    with pytest.raises(WSManFaultError) as raised:
        protocol.get_command_output(shell, command)
    assert raised.value.wsman_fault_code == 2150858843
    protocol.close_shell(shell)


def test_control_c_ends_a_command_with_its_exit_code(windows: SimulatedWindows) -> None:
    windows.script("hang", hang=True)
    protocol = client(windows)
    shell = protocol.open_shell()
    command = protocol.run_command(shell, encoded("hang"))
    signal(protocol, shell, command, "ctrl_c")
    assert protocol.get_command_output(shell, command) == (b"", b"", CONTROL_C_EXIT)
    protocol.close_shell(shell)


def test_the_end_of_a_command_is_told_once(windows: SimulatedWindows) -> None:
    windows.script("quick", exit_code=0)
    protocol = client(windows)
    shell = protocol.open_shell()
    command = protocol.run_command(shell, encoded("quick"))
    protocol.get_command_output(shell, command)
    with pytest.raises(WSManFaultError) as raised:
        protocol.get_command_output(shell, command)
    assert raised.value.wsman_fault_code == 2150858843
    protocol.close_shell(shell)


def test_a_shell_that_nobody_uses_is_closed() -> None:
    with SimulatedWindows(Settings(logins=EASY, quotas=Quotas(idle_timeout=1))) as target:
        target.script("hang", hang=True)
        protocol = client(target)
        shell = protocol.open_shell()
        command = protocol.run_command(shell, encoded("hang"))
        (running,) = target.shells[0].commands.values()
        time.sleep(1.5)
        assert target.shells == []
        assert running.aborted
        with pytest.raises(WSManFaultError) as raised:
            protocol.get_command_output(shell, command)
        assert raised.value.wsman_fault_code == 2150858843


def test_one_shell_too_many_is_a_fault_of_wmi() -> None:
    with SimulatedWindows(Settings(logins=EASY, quotas=Quotas(shells_per_user=2))) as target:
        protocol = client(target)
        protocol.open_shell()
        protocol.open_shell()
        with pytest.raises(WSManFaultError) as raised:
            protocol.open_shell()
        assert (raised.value.wmierror_code, raised.value.wsman_fault_code) == (2150859173, None)


def test_commands_count_against_their_user_until_their_shell_is_gone() -> None:
    with SimulatedWindows(Settings(logins=EASY, quotas=Quotas(operations_per_user=2))) as target:
        protocol = client(target)
        shell = protocol.open_shell()
        for _ in range(2):
            command = protocol.run_command(shell, "hostname")
            protocol.get_command_output(shell, command)
            protocol.cleanup_command(shell, command)
        with pytest.raises(WSManFaultError) as raised:
            protocol.run_command(shell, "hostname")
        assert raised.value.wmierror_code == 0x803381A6
        protocol.close_shell(shell)
        assert run(protocol, "hostname")[2] == 0


def test_a_request_beyond_the_largest_envelope_is_refused() -> None:
    with SimulatedWindows(Settings(logins=EASY, quotas=Quotas(envelope=100_000))) as target:
        with pytest.raises(WSManFaultError) as raised:
            run(client(target), encoded("x"), stdin=b"x" * 100_000)
        assert raised.value.wsman_fault_code == 2150858990


def test_a_command_line_beyond_the_limit_of_cmd_is_refused_by_it(windows: SimulatedWindows) -> None:
    _, stderr, code = run(client(windows), "echo " + "x" * 8192)
    assert (stderr, code) == (b"The command line is too long.\r\n", 1)


def test_another_users_shell_does_not_exist() -> None:
    logins = Settings(logins=EASY).logins
    users = {**logins.users, "other": "Simulated-2"}
    with SimulatedWindows(Settings(logins=type(logins)(users, basic=True, allow_unencrypted=True))) as target:
        shell = client(target).open_shell()
        with pytest.raises(WSManFaultError) as raised:
            client(target, username="other", password="Simulated-2").run_command(shell, "hostname")
        assert raised.value.wsman_fault_code == 2150858843


def test_it_listens_on_ipv6_too() -> None:
    with SimulatedWindows(Settings(logins=EASY, host="::1")) as target:
        assert target.endpoint.startswith("http://[::1]:")
        assert run(client(target), "hostname")[2] == 0


@pytest.mark.parametrize(
    ("line", "ran"),
    [
        ("whoami", (b"simulated-win\\ops\r\n", b"", 0)),
        ("echo %COMPUTERNAME% %NOBODY%", (b"SIMULATED-WIN %NOBODY%\r\n", b"", 0)),
        ("echo out&& echo err>&2 && exit 3", (b"out\r\n", b"err \r\n", 3)),
        ("nothing || echo then", (b"then\r\n", None, 0)),
        ("exit 1 && echo never", (b"", b"", 1)),
    ],
)
def test_a_little_of_cmd_is_played(
    line: str, ran: tuple[bytes, bytes | None, int], windows: SimulatedWindows
) -> None:
    stdout, stderr, code = run(client(windows), line)
    assert (stdout, code) == (ran[0], ran[2])
    assert ran[1] is None or stderr == ran[1]


def test_an_exit_code_comes_without_a_sign(windows: SimulatedWindows) -> None:
    windows.script("negative", exit_code=-1)
    assert run(client(windows), encoded("negative"))[2] == 0xFFFFFFFF
