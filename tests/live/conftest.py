"""A web server, and people who may look."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Group as Role
from django.contrib.auth.models import User

from automation.models import JobRun
from automation.roles import ROLES
from tests.live.server import Server, signed_in
from tests.live.stories import make_run, person


@pytest.fixture
def roles(transactional_db: None) -> None:
    """A test with real transactions before this one has emptied the tables, the roles' too."""
    for name in ROLES:
        Role.objects.get_or_create(name=name)


@pytest.fixture(scope="module")
def server(
    django_db_setup: None, django_db_blocker: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One for all tests of a module; who stops it starts it again."""
    made = Server(tmp_path_factory.mktemp("web") / "log")
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        made.start()
    yield made
    made.kill()
    assert "Traceback" not in made.log.read_text(encoding="utf-8"), made.log.read_text(encoding="utf-8")


@pytest.fixture
def olga(roles: None) -> User:
    return person("olga", "operator")


@pytest.fixture
def vera(roles: None) -> User:
    return person("vera", "viewer")


@pytest.fixture
def cookie(vera: User) -> dict[str, str]:
    """Of a viewer's browser."""
    return signed_in(vera)


@pytest.fixture
def run(olga: User) -> JobRun:
    return make_run(olga, "web1", "web2")
