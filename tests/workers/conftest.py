"""Fixtures of the spine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User

from tests.hosts.fixtures import fresh_hosts, host_factory, hosts
from tests.libraries.sshd import Sshd
from tests.workers.spine import Spine
from tests.workers.windows import WindowsFleet

__all__ = ["fresh_hosts", "host_factory", "hosts", "servers", "spine", "windows"]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Sshd]]:
    started = [Sshd(tmp_path_factory.mktemp("sshd")) for _ in range(4)]
    for server in started[1:]:
        server.authorize(started[0].folder / "login.pub")
    yield started
    for server in started:
        server.stop()


@pytest.fixture
def spine(db: None, servers: list[Sshd], tmp_path: Path) -> Spine:
    del db
    person = User.objects.create_user("alice")
    person.groups.add(Group.objects.get(name="operator"))
    return Spine(servers, person, tmp_path)


@pytest.fixture
def windows(db: None) -> Iterator[WindowsFleet]:
    del db
    fleet = WindowsFleet()
    yield fleet
    fleet.stop()
