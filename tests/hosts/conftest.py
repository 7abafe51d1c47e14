"""The tests of the hosts use the same fixtures as everybody."""

from tests.hosts.fixtures import fresh_hosts, host_factory, hosts

__all__ = ["fresh_hosts", "host_factory", "hosts"]
