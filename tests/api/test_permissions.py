"""Every route, every method, everybody: one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from django.urls import URLPattern, get_resolver
from rest_framework.test import APIClient

from automation.api.groups import GroupViews
from automation.models import (
    EnvironmentDefault,
    Group,
    HostCertificateAuthority,
    HostKey,
    JobRun,
    StoredFile,
    Target,
)
from automation.models.workflows import Workflow
from automation.roles import ROLES, SCOPES
from credentials.models import Credential
from credentials.secret import Secret
from tests.api.conftest import HOST_KEY, READ_UPTIME, send

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# The scope each route needs; 405 where it does not do that. A route that is not here fails the build.
TABLE: dict[str, dict[str, str]] = {
    "targets/": {"GET": "inventory:read", "POST": "inventory:write"},
    "targets/<pk>/": {"GET": "inventory:read", "PATCH": "inventory:write", "DELETE": "inventory:write"},
    "targets/<pk>/test/": {"POST": "runs:submit"},
    "targets/<pk>/tests/": {"GET": "inventory:read"},
    "targets/<pk>/scan/": {"POST": "runs:submit"},
    "targets/<pk>/facts/": {"POST": "runs:submit"},
    "targets/looks/": {"POST": "runs:submit"},
    "groups/": {"GET": "inventory:read", "POST": "inventory:write"},
    "groups/<pk>/": {"GET": "inventory:read", "PATCH": "inventory:write", "DELETE": "inventory:write"},
    "inventory/import/": {"POST": "inventory:write"},
    "inventory/export/": {"GET": "inventory:read"},
    "credentials/": {"GET": "inventory:read", "POST": "credentials:write"},
    "credentials/<pk>/": {
        "GET": "inventory:read",
        "PATCH": "credentials:write",
        "DELETE": "credentials:write",
    },
    "credentials/<pk>/test/": {"POST": "credentials:write"},
    "environment-defaults/": {"GET": "inventory:read", "POST": "credentials:write"},
    "environment-defaults/<pk>/": {
        "GET": "inventory:read",
        "PATCH": "credentials:write",
        "DELETE": "credentials:write",
    },
    "host-keys/": {"GET": "inventory:read", "POST": "inventory:write"},
    "host-keys/<pk>/": {"GET": "inventory:read"},
    "host-keys/<pk>/trust/": {"POST": "inventory:write"},
    "host-keys/<pk>/revoke/": {"POST": "inventory:write"},
    "host-keys/trust/": {"POST": "inventory:write"},
    "host-keys/revoke/": {"POST": "inventory:write"},
    "host-certificate-authorities/": {"GET": "inventory:read", "POST": "inventory:write"},
    "host-certificate-authorities/<pk>/": {
        "GET": "inventory:read",
        "PATCH": "inventory:write",
        "DELETE": "inventory:write",
    },
    "workflows/": {"GET": "runs:read", "POST": "runs:submit"},
    "workflows/<name>/": {"GET": "runs:read"},
    "workflows/schema/": {"GET": "runs:read"},
    "workflows/<name>/versions/": {"GET": "runs:read"},
    "workflows/<name>/diff/": {"GET": "runs:read"},
    "files/": {"GET": "runs:read", "POST": "runs:submit"},
    "files/<pk>/": {"GET": "runs:read", "DELETE": "admin"},
    "files/<pk>/content/": {"GET": "runs:read"},
    "runs/": {"GET": "runs:read", "POST": "runs:submit"},
    "runs/command/": {"POST": "runs:submit"},
    "runs/<pk>/": {"GET": "runs:read"},
    "runs/<pk>/plan/": {"GET": "runs:read"},
    "runs/<pk>/results/": {"GET": "runs:read"},
    "runs/<pk>/events/": {"GET": "runs:read"},
    "runs/<pk>/output/": {"GET": "runs:read"},
    "runs/<pk>/forecast/": {"GET": "runs:read"},
    "runs/<pk>/pause/": {"POST": "runs:control"},
    "runs/<pk>/resume/": {"POST": "runs:control"},
    "runs/<pk>/rerun/": {"POST": "runs:submit"},
    "runs/<pk>/start/": {"POST": "runs:submit"},
    "runs/<pk>/approve/": {"POST": "runs:approve"},
    "runs/<pk>/reject/": {"POST": "runs:approve"},
    "runs/<pk>/cancel/": {"POST": "runs:control"},
    "libraries/": {"GET": "inventory:read"},
    "me/": {"GET": "runs:read"},
    "tokens/": {"GET": "runs:read", "POST": "runs:read"},
    "tokens/<pk>/": {"DELETE": "runs:read"},
}
# What needs a person beside the scope.
PERSONS_ONLY = {
    "host-keys/<pk>/trust/",
    "host-keys/<pk>/revoke/",
    "host-keys/trust/",
    "host-keys/revoke/",
    "host-certificate-authorities/",
    "host-certificate-authorities/<pk>/",
    "workflows/",
    "tokens/",
    *("files/", "runs/<pk>/resume/"),
}
HELD: dict[str, frozenset[str]] = {
    **{role: frozenset(scopes) for role, scopes in ROLES.items()},
    "mallory": frozenset(),
    "ai": SCOPES - {"admin", "runs:approve"},
}


def api_routes() -> Iterator[tuple[str, URLPattern]]:
    """Every pattern under /api/v1/ of the automation API, as `runs/<pk>/`."""
    for entry in get_resolver("automation.api.urls").url_patterns:
        assert isinstance(entry, URLPattern)
        text = str(entry.pattern).removeprefix("^").removesuffix(r"\Z").removesuffix("$")
        for key in ("pk", "name"):
            start = text.find(f"(?P<{key}>")
            if start >= 0:
                text = text[:start] + f"<{key}>" + text[text.index(")", start) + 1 :]
        yield text, entry


def test_every_route_declares_the_scope_of_every_method_it_serves() -> None:
    routes = list(api_routes())
    assert routes
    for text, entry in routes:
        callback: Any = entry.callback
        scopes = callback.initkwargs.get("scopes", callback.cls.scopes)
        for method in callback.actions:
            if method != "head":
                assert scopes.get(method.upper()) in SCOPES, f"{method} {text} declares no scope"


def test_the_table_knows_every_route_and_no_other() -> None:
    served = {
        text: {method.upper() for method in entry.callback.actions if method != "head"}  # type: ignore[attr-defined]
        for text, entry in api_routes()
    }
    assert served == {text: set(methods) for text, methods in TABLE.items()}


@pytest.fixture
def one_of_each(submit_as: Callable[..., JobRun], clients: dict[str, APIClient]) -> dict[str, str]:
    """A row for every kind of path."""
    credential = Credential(name="ops", kind="password", username="ops")
    credential.set_secrets(password=Secret("hunter2hunter2"))
    default = EnvironmentDefault.objects.create(environment="lab", credential=credential)
    target = Target.objects.get(name="web1")
    key = HostKey.objects.saw(target, "ssh-ed25519", HOST_KEY, HostKey.State.PENDING)
    authority = HostCertificateAuthority.objects.create(name="site", key_type="ssh-ed25519", key=HOST_KEY)
    Workflow.objects.publish(READ_UPTIME, text="", author=None)
    run = submit_as(clients["operator"])
    file = StoredFile.objects.take_in(BytesIO(b"x"), name="app.conf")
    return {
        "files": str(file.pk),
        "targets": str(target.pk),
        "groups": str(Group.objects.get().pk),
        "credentials": str(credential.pk),
        "environment-defaults": str(default.pk),
        "host-keys": str(key.pk),
        "host-certificate-authorities": str(authority.pk),
        "workflows": "uptime",
        "runs": str(run.pk),
        "tokens": "1",
        "inventory": "",
        "me": "",
        "libraries": "",
    }


def expected(who: str, route: str, method: str) -> set[int] | None:
    """The statuses that are right; None for anything but a refusal to let in."""
    if who in ("anonymous", "revoked", "expired"):
        return {401}
    scope = TABLE[route].get(method)
    if scope is None:
        return {405}
    if scope not in HELD[who]:
        return {403}
    if who == "ai" and route in PERSONS_ONLY and method != "GET":
        return {403}
    return None


@pytest.mark.parametrize("route", sorted(TABLE))
def test_who_may_do_what(route: str, clients: dict[str, APIClient], one_of_each: dict[str, str]) -> None:
    path = "/api/v1/" + route.replace("<pk>", one_of_each[route.split("/")[0]]).replace("<name>", "uptime")
    for who, client in clients.items():
        # Deleting comes last, so that those who may do it leave something for the others.
        for method in METHODS[:-1]:
            status = send(client, method, path, b"{}").status_code
            right = expected(who, route, method)
            assert (status in right) if right else (status not in (401, 403, 405)), f"{who} {method} {route}"
    for who, client in clients.items():
        right = expected(who, route, "DELETE")
        if right:
            assert client.delete(path).status_code in right, f"{who} DELETE {route}"


@pytest.mark.parametrize("route", sorted(route for route in TABLE if "<" in route))
def test_what_is_not_there_is_told_like_what_is_hidden(
    route: str, clients: dict[str, APIClient], web: Any
) -> None:
    path = "/api/v1/" + route.replace("<pk>", "999999").replace("<name>", "nothing")
    for method in TABLE[route]:
        body = b'{"plan_hash": "x"}' if route.endswith(("start/", "approve/", "reject/")) else b"{}"
        assert send(clients["admin"], method, path, body).status_code == 404


def test_reading_changes_nothing(clients: dict[str, APIClient], one_of_each: dict[str, str]) -> None:
    def everything() -> list[Any]:
        models = (Target, Group, Credential, HostKey, Workflow, JobRun)
        return [list(model._default_manager.order_by("pk").values()) for model in models]

    before = str(everything())
    for route, methods in TABLE.items():
        if "GET" in methods:
            path = "/api/v1/" + route.replace("<pk>", one_of_each[route.split("/")[0]]).replace(
                "<name>", "uptime"
            )
            clients["admin"].get(path)
    assert str(everything()) == before


def test_no_answer_of_any_route_holds_a_secret(
    clients: dict[str, APIClient], one_of_each: dict[str, str]
) -> None:
    Target.objects.update(credential_id=one_of_each["credentials"])
    for route in TABLE:
        path = "/api/v1/" + route.replace("<pk>", one_of_each[route.split("/")[0]]).replace(
            "<name>", "uptime"
        )
        for method in ("GET", "POST", "PATCH", "OPTIONS"):
            answer = send(clients["admin"], method, path, b"{}")
            told = b"".join(answer.streaming_content) if answer.streaming else answer.content
            assert b"hunter2" not in told, f"{method} {route}"


def test_a_view_without_a_scope_is_closed(
    clients: dict[str, APIClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GroupViews, "scopes", {})
    assert clients["admin"].get("/api/v1/groups/").status_code == 403
