"""Fixtures. A folder of tests that needs hosts imports them in its conftest.py:

    from tests.hosts.fixtures import fresh_hosts, host_factory, hosts

All folders share the sets of one pytest process, whatever the number of imports.
"""

import os
import sys
from collections.abc import Iterator
from typing import Protocol

import pytest

from tests.hosts.client import Hosts
from tests.hosts.lifecycle import remove_orphans
from tests.hosts.place import DEFAULT_BASE, Place
from tests.hosts.prerequisites import missing
from tests.hosts.processes import HostsError, Process

_SETS_AT_MOST = 8  # in one pytest process
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class HostFactory(Protocol):
    """Brings hosts up, `3` or `web=2,db=1`; the same words give the same hosts for the whole session."""

    def __call__(self, spec: str) -> Hosts: ...


class _Sets:
    """The sets of hosts of this pytest process."""

    def __init__(self) -> None:
        self._by_spec: dict[str, Hosts] = {}
        self._made: list[Hosts] = []  # those too that did not come up: they have something to take down

    def get(self, spec: str) -> Hosts:
        if spec not in self._by_spec:
            if len(self._made) == _SETS_AT_MOST:
                raise HostsError(
                    f"more than {_SETS_AT_MOST} sets of hosts: {', '.join(self._by_spec)}, {spec}"
                )
            hosts = Hosts(Place(_tag(len(self._made))), _say)
            self._made.append(hosts)
            hosts.up(spec, owner=Process.of(os.getpid()))
            self._by_spec[spec] = hosts
        return self._by_spec[spec]

    def down(self) -> None:
        while self._made:
            self._made.pop().down()


_SETS = pytest.StashKey[_Sets]()


def require_hosts() -> None:
    """Fail with the line to type where hosts cannot run; skip with it on a machine that is no CI."""
    lacking = "\n".join(missing())
    if not lacking:
        return
    if os.environ.get("CI", "").lower() in ("", "0", "false"):
        pytest.skip(f"NOT TESTED, no test hosts here: {lacking}")
    pytest.fail(f"test hosts cannot run here: {lacking}", pytrace=False)


@pytest.fixture(scope="session")
def host_factory(request: pytest.FixtureRequest) -> HostFactory:
    """Sets of hosts under tags of this process alone; all are taken down when pytest ends."""
    require_hosts()
    config = request.config
    if _SETS not in config.stash:
        sets = config.stash[_SETS] = _Sets()
        config.add_cleanup(sets.down)
        remove_orphans(DEFAULT_BASE, _say)
    return config.stash[_SETS].get


@pytest.fixture(scope="session")
def hosts(host_factory: HostFactory) -> Hosts:
    """web1, web2 and web3, as earlier tests of the session left them."""
    return host_factory("3")


@pytest.fixture
def fresh_hosts(hosts: Hosts) -> Iterator[Hosts]:
    """web1, web2 and web3 as new."""
    hosts.reset()
    yield hosts
    for name in hosts.names:  # the next test may take the hosts as they are
        if hosts.faults(name):
            hosts.reset(name)


def _tag(number: int) -> str:
    """At most 6 characters, as names of network devices have 15 in all; no two processes share one."""
    value, digits = os.getpid() * _SETS_AT_MOST + number, ""
    while value:
        value, digit = divmod(value, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return f"t{digits}"


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
