"""The simulated target answers in the very shapes that real Windows machines were recorded with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from opsportal.simulated_windows import Console, SimulatedWindows
from opsportal.simulated_windows.console import Play
from tests.simulated_windows import recordings
from tests.simulated_windows.conftest import PASSWORD, USER, client
from tests.simulated_windows.recordings import SHELL, kind, paths, recording, replay

WINRS = [
    "bad_cmd_id",
    "environment",
    "extra_opts",
    "fail_poll_process",
    "no_cmd_shell",
    "noprofile",
    "open_already_opened",
    "operation_timeout",
    "send",
    "standard",
    "stderr_rc",
    "unicode",
]
ALIVE = {
    "test_psrp_is_alive_other_wsman_error": "Get fault 2150858767",
    "test_psrp_is_alive_invalid_selectors": "Get fault 2150858843",
}


@pytest.fixture
def ask(windows: SimulatedWindows) -> Callable[[str], str]:
    def send(message: str) -> str:
        answer = requests.post(
            windows.endpoint,
            data=message.encode(),
            auth=(USER, PASSWORD),
            proxies={"no_proxy": "*"},
            timeout=30,
        )
        assert answer.status_code == (500 if "Fault>" in answer.text else 200)
        return answer.text

    return send


def until_asked_four_times(target: SimulatedWindows) -> Play:
    """A script that says something, and the rest when somebody asks for the fourth time."""

    def play(console: Console) -> int:
        console.host("hi")
        while sum(call.verb == "Receive" for call in target.calls) < 4:
            console.sleep(0.02)
        console.host("hi again")
        return 0

    return play


def test_every_recording_of_a_remote_shell_is_compared(real_exchanges: Path) -> None:
    assert [f"test_winrs_{name}" for name in WINRS] == [
        name for name in recordings.names(real_exchanges) if "winrs" in name
    ]


@pytest.mark.parametrize("name", WINRS)
def test_no_path_is_missing_and_none_is_invented(
    name: str, real_exchanges: Path, windows: SimulatedWindows, ask: Callable[[str], str]
) -> None:
    windows.script("Start-Sleep 30", play=until_asked_four_times(windows))
    exchanges = recording(real_exchanges, f"test_winrs_{name}")
    if name == "operation_timeout":  # recorded with ten seconds, that were waited for in vain twice
        exchanges = [
            recordings.Exchange(each.request.replace("PT10S", "PT0.3S"), each.response) for each in exchanges
        ]
    recorded, ours = replay(exchanges, ask)
    assert ours == recorded


@pytest.mark.parametrize("name", sorted(ALIVE))
def test_faults_of_get_have_the_recorded_shape(
    name: str, real_exchanges: Path, ask: Callable[[str], str]
) -> None:
    for exchange in recording(real_exchanges, name):
        if kind(exchange.verb, exchange.response) == ALIVE[name]:
            assert paths(ask(exchange.request)) == paths(exchange.response)
            return
    pytest.fail(f"{ALIVE[name]} is not in the recording")


def _recorded(source: Path, name: str, verb: str, resource: str) -> recordings.Exchange:
    return next(
        each
        for each in recording(source, name)
        if each.verb == verb and each.resource.endswith(resource) and "Fault>" not in each.response
    )


def test_a_shell_that_is_asked_for_tells_every_field(
    real_exchanges: Path, windows: SimulatedWindows, ask: Callable[[str], str]
) -> None:
    exchange = _recorded(real_exchanges, "test_psrp_is_alive_http_error", "Get", "/shell")
    theirs = recordings.SHELL_ID.search(exchange.request)
    assert theirs
    shell = client(windows).open_shell()
    assert paths(ask(exchange.request.replace(theirs.group(1), shell))) == paths(exchange.response)


def test_shells_are_enumerated_in_the_recorded_shape(
    real_exchanges: Path, windows: SimulatedWindows, ask: Callable[[str], str]
) -> None:
    exchange = _recorded(real_exchanges, "test_psrp_disconnect_runspaces", "Enumerate", SHELL)
    client(windows).open_shell()
    assert paths(ask(exchange.request)) == paths(exchange.response)


def test_the_configuration_has_every_recorded_field(real_exchanges: Path, ask: Callable[[str], str]) -> None:
    exchange = _recorded(real_exchanges, "test_wsman_update_envelope_size_500", "Get", "/config")
    assert paths(ask(exchange.request)) == paths(exchange.response)
