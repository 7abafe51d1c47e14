"""People with roles, and the fake automation, fresh for each test."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, User
from rest_framework.test import APIClient

from tests.aiworkflows import fake_portal
from tests.hosts.fixtures import fresh_hosts, host_factory, hosts  # noqa: F401  fixtures

MakePerson = Callable[..., User]
Acting = Callable[..., APIClient]


class Token:
    """What the proposals know of a token: the scopes it has."""

    def __init__(self, *scopes: str) -> None:
        self.scopes = scopes

    def has_scope(self, name: str) -> bool:
        return name in self.scopes


@pytest.fixture
def automation(monkeypatch: pytest.MonkeyPatch) -> fake_portal.Automation:
    fresh = fake_portal.Automation()
    monkeypatch.setattr(fake_portal, "automation", fresh)
    return fresh


@pytest.fixture
def person(db: None) -> MakePerson:
    def make(name: str, role: str | None = None) -> User:
        user = User.objects.create_user(name)
        if role:
            user.groups.add(Group.objects.get_or_create(name=role)[0])
        return user

    return make


@pytest.fixture
def acting() -> Acting:
    def client(user: User, token: object | None = None) -> APIClient:
        api = APIClient()
        api.force_authenticate(user, token)  # type: ignore[arg-type]  # any object with scopes
        return api

    return client
