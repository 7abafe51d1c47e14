"""A real portal, people with tokens, and the command line as somebody at a shell uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from automation.models import ApiToken
from opsportal.commandline.__main__ import main
from tests.live.conftest import roles, server  # noqa: F401  fixtures
from tests.live.server import Server
from tests.live.stories import person


@dataclass
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Type = Callable[..., Ended]
SetUp = Callable[..., dict[str, str]]


SCOPES_OF = {
    "viewer": ["inventory:read", "runs:read"],
    "operator": ["inventory:read", "runs:read", "runs:submit", "runs:control", "proposals:write"],
    "approver": ["inventory:read", "runs:read", "runs:control", "runs:approve"],
}


@pytest.fixture
def environment(server: Server, roles: None, tmp_path: Path) -> SetUp:  # noqa: F811  fixtures
    """What a person of this role has set; the person is made, and a token of this kind."""

    def of(role: str, *, kind: str = "person") -> dict[str, str]:
        user = person(f"{role}-person", role)
        _, token = ApiToken.objects.issue(name="laptop", user=user, kind=kind, scopes=SCOPES_OF[role])
        return {"OPSPORTAL_URL": server.origin, "OPSPORTAL_TOKEN": token, "XDG_CONFIG_HOME": str(tmp_path)}

    return of


@pytest.fixture
def type_in(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Type:
    """Type a command, in this process: it only reads its environment and writes to its streams."""

    def typed(environment: dict[str, str], *arguments: str) -> Ended:
        with monkeypatch.context() as patch:
            for name in ("OPSPORTAL_URL", "OPSPORTAL_TOKEN"):
                patch.delenv(name, raising=False)
            for name, value in environment.items():
                patch.setenv(name, value)
            capfd.readouterr()
            code = main(list(arguments))
        return Ended(code, *capfd.readouterr())

    return typed


def started(environment: dict[str, str], *arguments: str, **streams: Any) -> subprocess.Popen[bytes]:
    """The command as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "opsportal.commandline", *arguments],
        cwd=settings.BASE_DIR,
        env={**os.environ, **environment},
        **streams,
    )
