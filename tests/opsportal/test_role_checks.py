"""A role that is configured by half does not start, and says what to do."""

from typing import Any

import pytest
from django.core.management import CommandError, call_command

from opsportal.parts import ROLES
from opsportal.role_checks import role

HERE = "http://127.0.0.1:3003"


def ids(settings: Any, name: str, url: str, token: str) -> list[str | None]:
    settings.ROLE, settings.AUTOMATION_URL, settings.AUTOMATION_TOKEN = name, url, token
    settings.PORT = ROLES[name].port
    found = role(None)
    assert all(problem.hint for problem in found)
    assert not any(token and token in f"{problem.msg}{problem.hint}" for problem in found)
    return [problem.id for problem in found]


@pytest.mark.parametrize(
    ("name", "url", "token", "wanted"),
    [
        ("all", "", "", []),
        ("automation", "", "", []),
        ("ai", HERE, "ops_abc", []),
        ("ai", "https://automation.example.org", "ops_abc", []),
        ("ai", "", "", ["opsportal.E021", "opsportal.E024"]),
        ("ai", "automation.example.org", "ops_abc", ["opsportal.E022"]),
        ("ai", "https://me:word@automation.example.org", "ops_abc", ["opsportal.E022"]),
        ("ai", "https://automation.example.org:high", "ops_abc", ["opsportal.E022"]),
        ("ai", "http://localhost:3005", "ops_abc", ["opsportal.E023"]),
        ("ai", HERE, "hunter2", ["opsportal.E025"]),
        ("ai", HERE, "ops_a b", ["opsportal.E025"]),
        ("ai", "http://automation.example.org", "ops_abc", ["opsportal.W003"]),
        ("all", HERE, "ops_abc", ["opsportal.E020"]),
        ("automation", "", "ops_abc", ["opsportal.E020"]),
    ],
)
def test_each_half_configured_role_has_its_check(
    settings: Any, name: str, url: str, token: str, wanted: list[str]
) -> None:
    assert ids(settings, name, url, token) == wanted


def test_the_ai_role_installs_nothing_that_executes_and_the_automation_role_nothing_that_plans() -> None:
    assert not {"automation", "credentials", "django_q"} & set(ROLES["ai"].apps)
    assert "aiworkflows" not in ROLES["automation"].apps
    assert (ROLES["all"].port, ROLES["automation"].port, ROLES["ai"].port) == (3003, 3003, 3005)


def test_the_ai_role_refuses_to_start_workers(settings: Any) -> None:
    settings.ROLE, settings.PARTS = "ai", ROLES["ai"]
    with pytest.raises(CommandError, match="OPSPORTAL_ROLE=ai has no workers"):
        call_command("workers", skip_checks=True)
