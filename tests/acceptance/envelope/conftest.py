"""Fixtures: real hosts, and a portal whose workers run in this process."""

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Group, User

from tests.acceptance.envelope.portal import Portal
from tests.hosts.client import Hosts
from tests.hosts.fixtures import fresh_hosts, host_factory, hosts

__all__ = ["fresh_hosts", "host_factory", "hosts"]

NAMES = ("web1", "web2", "web3")
NewHost = Callable[[], str]


@pytest.fixture(scope="session")
def used_hosts() -> list[str]:
    """Names of hosts that some test has had since they were made new, last used last."""
    return []


@pytest.fixture
def new_host(hosts: Hosts, used_hosts: list[str]) -> Iterator[NewHost]:
    """Gives names of hosts that nobody has touched since they were made. All are, but one at a time is."""
    mine: list[str] = []

    def take() -> str:
        name = next(name for name in NAMES if name not in mine)
        if name in used_hosts:
            hosts.reset(name)
        mine.append(name)
        return name

    yield take
    used_hosts += [name for name in mine if name not in used_hosts]


@pytest.fixture
def portal(transactional_db: None, hosts: Hosts) -> Iterator[Portal]:
    """A portal with one operator and no targets yet."""
    del transactional_db
    person = User.objects.create_user("alice")
    person.groups.add(Group.objects.get(name="operator"))
    portal = Portal(hosts, person)
    yield portal
    portal.stop()


@pytest.fixture
def host(new_host: NewHost, portal: Portal) -> str:
    """One new host, and a target of its name in the portal."""
    name = new_host()
    portal.add_target(name)
    return name
