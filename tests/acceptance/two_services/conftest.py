"""Two portals that meet only over HTTP: one proposes (role ai), one executes (role automation)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from benchmarks.targets import Farm
from tests.acceptance.main_job.installation import PASSWORD, Installation


@dataclass(frozen=True)
class TwoServices:
    """Both, running; `robot` at the automation service owns the token that the AI service has."""

    ai: Installation
    automation: Installation

    def end(self) -> None:
        for each in (self.ai, self.automation):
            if each.portal.process is not None:
                each.portal.end()
            each.portal.clean_up()


class Browser:
    """Somebody's browser at a portal: cookies, and forms with their CSRF token."""

    def __init__(self, installation: Installation, name: str) -> None:
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{installation.portal.port}",
            follow_redirects=True,
            timeout=60,
            limits=httpx.Limits(max_keepalive_connections=0),  # so there is nothing to close
        )
        self._http.get("/sign-in/")
        answer = self.send("/sign-in/", username=name, password=PASSWORD)
        assert answer.url.path == "/", answer.text

    def get(self, path: str) -> httpx.Response:
        return self._http.get(path)

    def send(self, path: str, **fields: str) -> httpx.Response:
        token = self._http.cookies["csrftoken"]
        return self._http.post(path, data={**fields, "csrfmiddlewaretoken": token})


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Two real sshd on loopback addresses."""
    with Farm(tmp_path_factory.mktemp("farm"), 2) as farm:
        yield farm


def started(data: Path, **settings: str) -> Installation:
    made = Installation(data, **settings)
    try:
        made.start()
    except BaseException:
        made.portal.clean_up()
        raise
    return made


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, farm: Farm) -> Iterator[TwoServices]:
    automation = started(tmp_path_factory.mktemp("automation"), OPSPORTAL_ROLE="automation")
    folder = tmp_path_factory.mktemp("ai")
    ai = Installation(folder)
    services = TwoServices(ai, automation)
    try:
        automation.load({"hosts": [row(farm, number) for number in range(2)]})
        # At the other service she may approve: that she may not here is not for want of a role.
        automation.manage("create_user", "clara", "--role", "admin", "--password-stdin", stdin=PASSWORD)
        file = folder.with_suffix(".token")
        file.write_text(automation.token("robot", "ai", "inventory:read", "runs:read", "runs:submit"))
        ai.portal.settings.update(
            OPSPORTAL_ROLE="ai",
            OPSPORTAL_AUTOMATION_URL=f"http://127.0.0.1:{automation.portal.port}",
            OPSPORTAL_AUTOMATION_TOKEN_FILE=str(file),
        )
        ai.portal.start_and_wait()
        for name in ("clara", "olivia"):
            ai.manage("create_user", name, "--role", "operator", "--password-stdin", stdin=PASSWORD)
        yield services
    finally:
        services.end()


def row(farm: Farm, number: int) -> dict[str, str | int]:
    place = farm.places[number]
    return {
        "name": place.name,
        "address": place.address,
        "port": place.port,
        "user": farm.login,
        "role": "web",
        "private_key": str(farm.key),
        "host_key": place.host_key,
    }
