"""The spine with its real sshd, and the people who ask by API."""

from tests.api.conftest import clients, make_target, people
from tests.workers.conftest import servers, spine

__all__ = ["clients", "make_target", "people", "servers", "spine"]
