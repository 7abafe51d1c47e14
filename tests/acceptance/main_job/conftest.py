"""A portal for the main job, and the people who take part in it."""

from collections.abc import Iterator

import pytest

from aiworkflows.automation_client import AutomationClient
from tests.acceptance.main_job.installation import Installation
from tests.hosts.client import Hosts
from tests.hosts.fixtures import fresh_hosts as fresh_hosts
from tests.hosts.fixtures import host_factory as host_factory
from tests.hosts.fixtures import hosts as hosts


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    made = Installation(tmp_path_factory.mktemp("portal"))
    try:
        made.start()
        yield made
    finally:
        made.portal.end()
        made.portal.clean_up()


@pytest.fixture(scope="module")
def ai(installation: Installation) -> Iterator[AutomationClient]:
    """The AI service: it may look, propose and submit."""
    scopes = ("inventory:read", "runs:read", "runs:submit", "proposals:write")
    with installation.client(installation.token("robot", "ai", *scopes)) as client:
        yield client


@pytest.fixture(scope="module")
def approver(installation: Installation) -> Iterator[AutomationClient]:
    token = installation.token("anna", "person", "runs:read", "runs:approve", "runs:control")
    with installation.client(token) as client:
        yield client


@pytest.fixture
def web_servers(installation: Installation, fresh_hosts: Hosts) -> Hosts:
    """Three real hosts, as new, in the inventory with their keys trusted."""
    installation.load(fresh_hosts.inventory())
    return fresh_hosts
