"""Only when named, with OPSPORTAL_TEST_DATABASE=postgresql: `./ops test --database postgresql`."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from automation.models import JobRun
from tests.live.conftest import olga, roles
from tests.live.stories import make_run
from tests.postgresql import PostgreSQL

__all__ = ["olga", "roles", "run", "server"]

if settings.TEST_DATABASE_SERVER is None:
    raise pytest.UsageError("tests/on_postgresql needs OPSPORTAL_TEST_DATABASE=postgresql")


@pytest.fixture
def server(transactional_db: None) -> PostgreSQL:
    """The server of the tests' database; who stops it starts it again."""
    del transactional_db
    assert settings.TEST_DATABASE_SERVER is not None
    return settings.TEST_DATABASE_SERVER


@pytest.fixture
def run(olga: User) -> JobRun:
    return make_run(olga, "web1", "web2")
