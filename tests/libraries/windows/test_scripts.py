"""Scripts, values and what PowerShell tells, from the caller to the simulated target and back."""

from __future__ import annotations

import time

import pytest

from automation.libraries.windows.bootstrap import LONGEST_COMMAND, command_line
from automation.libraries.windows.connection import COMMANDS_PER_SHELL, WinRMConnection
from automation.libraries.windows.errors import PowerShellUnconfirmed, ScriptInvalid
from automation.libraries.windows.script import pack_script
from automation.libraries.windows.streams import Streams
from automation.libraries.windows.types import Record
from automation.libraries.windows_powershell import WindowsPowerShellLibrary
from opsportal.simulated_windows import Console, Piece, Quotas, Settings, SimulatedWindows
from tests.libraries.windows.conftest import OPS, Run, endpoint_of, verbs

WORDS = "Ω漢🙂 '\"$(throw)`n; & zażółć"


def test_a_script_runs_and_its_output_and_exit_code_come_back(run: Run) -> None:
    result = run("Write-Output 'hello'; exit 3")
    assert (result.stdout, result.exit_code, result.success) == (b"hello\r\n", 3, False)


def test_letters_of_all_kinds_arrive_intact_in_both_directions(run: Run, windows: SimulatedWindows) -> None:
    assert run("Write-Output $word", parameters={"word": WORDS}).stdout.decode() == f"{WORDS}\r\n"
    assert windows.played[-1].parameters == {"word": WORDS}


def test_a_script_of_a_megabyte_arrives_whole(run: Run, windows: SimulatedWindows) -> None:
    script = "# Ω漢🙂 filler\n" * 70_000 + "Write-Output 'end'"
    assert run(script).stdout == b"end\r\n"
    assert windows.played[-1].script == script


def test_no_request_is_larger_than_an_old_windows_takes() -> None:
    with SimulatedWindows(Settings(quotas=Quotas(envelope=153_600))) as target:
        script = "# " + "x" * 300_000 + "\nWrite-Output 'end'"
        result = WindowsPowerShellLibrary().execute_powershell(endpoint_of(target), script, OPS)
        assert result.stdout == b"end\r\n"


def test_errors_that_stand_before_the_beginning_in_one_answer_are_not_lost() -> None:
    heard: list[tuple[str, bytes]] = []
    streams = Streams("n" * 32, lambda stream, data: heard.append((stream, data)), None)
    streams.feed("stderr", b"early")
    assert not heard and streams.noise == b"early"
    streams.feed("stdout", b"\x1e" + b"n" * 32 + b" BEGIN\nout")
    streams.finish()
    assert heard == [("stderr", b"early"), ("stdout", b"out")]


def test_neither_script_nor_values_are_in_the_command_line_or_the_environment(
    run: Run, windows: SimulatedWindows
) -> None:
    run("Write-Output 'tell-tale'", parameters={"token": "s3cret-value"})
    [played] = windows.played
    program, arguments = command_line()
    line = " ".join((program, *arguments))
    assert "tell-tale" in played.script and len(line) < LONGEST_COMMAND / 2
    assert "-NonInteractive" in line and "-NoProfile" in line


def test_parameters_keep_their_types(run: Run, windows: SimulatedWindows) -> None:
    values = {"count": 3, "ready": True, "names": ["a", "b"], "nothing": None}
    run("Write-Output 'x'", parameters=values)
    assert windows.played[-1].parameters == values


def test_a_negative_exit_code_is_told_as_windows_means_it(run: Run, windows: SimulatedWindows) -> None:
    windows.script("crash", exit_code=-1073741510)
    assert run("crash").exit_code == -1073741510


def test_line_ends_stay_and_a_byte_order_mark_goes(run: Run, windows: SimulatedWindows) -> None:
    run("\ufeffWrite-Output 1\r\nWrite-Output 2\r\n".encode())
    assert windows.played[-1].script == "Write-Output 1\r\nWrite-Output 2\r\n"


@pytest.mark.parametrize(
    ("script", "parameters"),
    [
        ("Write-Output \0", {}),
        (b"\xff\xfeW\x00", {}),
        ("exit", {"host": "x"}),
        ("exit", {"bad-name": "x"}),
        ("exit", {"text": "a\0b"}),
        ("exit", {"number": float("nan")}),
    ],
)
def test_what_powershell_cannot_take_is_refused_before_anything_is_sent(
    run: Run, windows: SimulatedWindows, script: str | bytes, parameters: dict[str, object]
) -> None:
    with pytest.raises(ScriptInvalid) as caught:
        run(script, parameters=parameters)
    assert not caught.value.sent and not windows.connections


def test_streams_beside_the_output_come_one_by_one_and_as_text(run: Run) -> None:
    heard: list[Record] = []
    result = run(
        "Write-Warning 'careful'\nWrite-Output 'out'\nWrite-Error 'bad' -ErrorAction Continue",
        on_record=heard.append,
    )
    assert Record("warning", "careful") in heard
    assert any(record.kind == "error" and "bad" in record.text for record in heard)
    assert result.stdout == b"out\r\n" and b"WARNING: careful\n" in result.stderr
    assert result.as_dict()["streams"]["warning"] == ["careful"]


def test_output_is_heard_while_the_script_still_runs(run: Run, windows: SimulatedWindows) -> None:
    windows.script("slow", pieces=[Piece(b"first\r\n"), Piece(b"second\r\n", after=0.6)])
    heard: list[tuple[float, bytes]] = []
    run("slow", on_output=lambda _stream, data: heard.append((time.monotonic(), data)))
    assert [data for _, data in heard] == [b"first\r\n", b"second\r\n"]
    assert heard[1][0] - heard[0][0] > 0.4


def test_a_letter_cut_in_two_on_the_way_is_handed_on_whole(run: Run, windows: SimulatedWindows) -> None:
    smile = "🙂".encode()
    windows.script("cut", pieces=[Piece(b"a" + smile[:2]), Piece(smile[2:] + b"z", after=0.3)])
    heard: list[bytes] = []
    assert run("cut", on_output=lambda _stream, data: heard.append(data)).stdout.decode() == "a🙂z"
    assert [data.decode() for data in heard] == ["a", "🙂z"]


def test_a_warm_shell_is_used_again_with_at_most_four_round_trips(
    windows: SimulatedWindows, connection: WinRMConnection
) -> None:
    library = WindowsPowerShellLibrary()
    for _ in range(3):
        library.execute_powershell(connection.endpoint, "Write-Output 1", OPS, connection=connection)
    asked = verbs(windows)
    assert asked.count("Create") == 1
    # Half of the eight requests of pywinrm's run_ps, beside those of the shell itself.
    assert asked.count("Command") + asked.count("Send") + asked.count("Signal") == 3 * 3
    assert asked.count("Receive") <= 3 * 2


def test_a_shell_that_the_target_forgot_is_made_anew(
    windows: SimulatedWindows, connection: WinRMConnection
) -> None:
    library = WindowsPowerShellLibrary()
    library.execute_powershell(connection.endpoint, "Write-Output 1", OPS, connection=connection)
    windows.expire_shells()
    again = library.execute_powershell(connection.endpoint, "Write-Output 2", OPS, connection=connection)
    assert again.stdout == b"2\r\n" and verbs(windows).count("Create") == 2


def test_a_shell_is_given_up_after_many_commands(
    windows: SimulatedWindows, connection: WinRMConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert COMMANDS_PER_SHELL == 200
    # Two hundred commands would tell no more than three.
    monkeypatch.setattr("automation.libraries.windows.connection.COMMANDS_PER_SHELL", 2)
    library = WindowsPowerShellLibrary()
    for _ in range(3):
        library.execute_powershell(connection.endpoint, "Write-Output 1", OPS, connection=connection)
    assert verbs(windows).count("Create") == 2 and len(windows.shells) == 1


def test_no_shell_is_left_behind(run: Run, windows: SimulatedWindows) -> None:
    run("exit 0")
    run("throw 'x'")
    assert windows.shells == []


def test_a_powershell_that_dies_gives_no_success(run: Run, windows: SimulatedWindows) -> None:
    def die(console: Console) -> int:
        console.command.terminate(abort=False)
        console.sleep(5)
        return 0

    windows.script("die", play=die)
    with pytest.raises(PowerShellUnconfirmed):
        run("die")


def test_a_packed_script_is_ascii() -> None:
    assert pack_script(WORDS, {"word": WORDS}).isascii()


def test_a_name_and_a_url_tell_where_winrm_listens(windows: SimulatedWindows) -> None:
    library = WindowsPowerShellLibrary()
    result = library.test_connection(f"http://127.0.0.1:{windows.port}/wsman", OPS)
    assert result.success and endpoint_of(windows).url == windows.endpoint
