"""The tests of the hosts use the same fixtures as everybody."""

import pytest

from tests.hosts.fixtures import fresh_hosts, host_factory, hosts

__all__ = ["fresh_hosts", "host_factory", "hosts"]

pytest.register_assert_rewrite("tests.hosts.proofs", "tests.hosts.login_proofs")
