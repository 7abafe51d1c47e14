"""Which portal, which token, and who sees it."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import pytest

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_errors import UnreachableError
from aiworkflows.client_types import Event, Run, StepResult
from opsportal.commandline.connection import (
    Connection,
    config_file,
    find_connection,
    read_config,
    write_config,
)
from opsportal.commandline.exits import UsageError
from opsportal.commandline.matrix import Matrix
from opsportal.commandline.paper import harmless
from opsportal.commandline.session import cause_of, next_step_of
from tests.aiworkflows.automation_stub import free_port
from tests.commandline.conftest import SetUp, Type

TOKEN = "ops_a-token-that-nobody-may-see"


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def test_what_login_stores_is_read_back_and_only_its_owner_may_read_it(home: dict[str, str]) -> None:
    path = config_file(home)
    for url in ("http://old:3003", "https://portal:3003"):
        write_config(path, Connection(url, TOKEN))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert find_connection(home) == Connection("https://portal:3003", TOKEN)
    assert [each.name for each in path.parent.iterdir()] == ["config.toml"]


def test_a_file_that_others_may_read_is_refused(home: dict[str, str]) -> None:
    path = config_file(home)
    write_config(path, Connection("https://portal", TOKEN))
    path.chmod(0o644)
    with pytest.raises(UsageError, match="Others may read"):
        read_config(path)


def test_a_stored_token_never_goes_to_another_portal(home: dict[str, str]) -> None:
    write_config(config_file(home), Connection("https://portal", TOKEN))
    with pytest.raises(UsageError) as caught:
        find_connection({**home, "OPSPORTAL_URL": "https://elsewhere"})
    assert TOKEN not in str(caught.value)
    assert find_connection({**home, "OPSPORTAL_URL": "https://portal/"}).token == TOKEN


def test_the_environment_goes_before_the_file(home: dict[str, str]) -> None:
    write_config(config_file(home), Connection("https://portal", TOKEN))
    given = {**home, "OPSPORTAL_URL": "https://other", "OPSPORTAL_TOKEN": "ops_b"}
    assert find_connection(given) == Connection("https://other", "ops_b")


@pytest.mark.parametrize("content", [b"url = ", b"\xff", b'url = "https://portal"\n'])
def test_a_broken_file_says_what_to_do(home: dict[str, str], content: bytes) -> None:
    path = config_file(home)
    path.parent.mkdir()
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(UsageError) as caught:
        read_config(path)
    assert "login" in caught.value.next_step


@pytest.mark.parametrize(("url", "token"), [("ftp://x", "t"), ("https://u:p@x", "t"), ("https://x", "a\nb")])
def test_a_connection_that_cannot_work_is_refused_without_its_token(url: str, token: str) -> None:
    with pytest.raises(UsageError):
        Connection(url, token)
    assert TOKEN not in repr(Connection("https://x", TOKEN))


def test_without_a_portal_the_command_says_what_to_set(home: dict[str, str], type_in: Type) -> None:
    ended = type_in(home, "targets")
    assert (ended.code, ended.out) == (4, "")
    assert "login" in ended.err
    told = json.loads(type_in(home, "targets", "--json").err)
    assert (told["code"], "OPSPORTAL_URL" in told["next"]) == ("usage", True)


def test_a_portal_that_is_away_is_told_and_the_token_is_not() -> None:
    with pytest.raises(UnreachableError) as caught:
        AutomationClient(f"http://127.0.0.1:{free_port()}", TOKEN, timeout=0.3).status(1)
    assert TOKEN not in cause_of(caught.value)
    assert "Is the portal up" in next_step_of(caught.value)


def test_login_tries_the_token_before_it_stores_it(
    environment: SetUp, type_in: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = environment("viewer")
    url, token = mine.pop("OPSPORTAL_URL"), mine.pop("OPSPORTAL_TOKEN")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TOKEN}\n"))
    wrong = type_in(mine, "login", url)
    assert wrong.code == 4
    assert not config_file(mine).exists()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{token}\n"))
    right = type_in(mine, "login", url)
    assert right.code == 0, right.err
    assert TOKEN not in wrong.out + wrong.err
    assert token not in right.out + right.err
    assert type_in(mine, "runs").code == 0


def test_what_a_terminal_would_obey_is_made_harmless() -> None:
    assert (
        harmless("a\x1b[2J\x9bb\n")
        == "a\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"
    )


def test_the_table_shows_what_needs_a_look_first() -> None:
    rows = [StepResult(f"web-{n}", "look", "pending") for n in range(5)]
    matrix = Matrix(Run(1, "running"), rows, rows=2)
    matrix.apply(Event(1, "step", target="web-4", step="look", body="run", state="failed"))
    matrix.apply(Event(2, "step", target="web-4", step="look", body="undo", state="undone"))
    matrix.apply(Event(3, "step", target="web-0", step="look", state="succeeded"))
    assert matrix.shown() == ["web-4", "web-1"]
