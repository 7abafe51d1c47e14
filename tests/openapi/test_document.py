"""The OpenAPI document is whole, and real answers are as it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from jsonschema import Draft202012Validator, FormatChecker
from rest_framework.test import APIClient

from opsportal.openapi.document import document
from opsportal.openapi.operations import OPERATIONS
from tests.api.conftest import HOST_KEY, READ_UPTIME, TOUCH, clients, make_target, people, submit_as, web

__all__ = ["clients", "make_target", "people", "submit_as", "web"]
# Not of the API's data: what describes it.
ABOUT = {"api/v1/schema/", "api/v1/docs/"}


def routes(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Path and method of every route below /api/v1/."""
    for pattern in resolver.url_patterns:
        path = prefix + re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", str(pattern.pattern)).strip(
            "^$"
        ).removesuffix(r"\Z")
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, path)
        elif isinstance(pattern, URLPattern) and path.startswith("api/v1/") and path not in ABOUT:
            actions: dict[str, str] = getattr(pattern.callback, "actions", {})
            allowed = pattern.callback.cls.http_method_names  # type: ignore[attr-defined]
            yield from ((path, method) for method in actions if method in allowed and method != "head")


def described(path: str, method: str) -> Any:
    return document()["paths"][path][method]


def is_as_described(answer: Any, path: str, method: str) -> None:
    """Fails unless the answer's status, form and every key of it are described."""
    shown = described(path, method)["responses"][str(answer.status_code)]
    if "$ref" in shown:
        shown = document()["components"]["responses"][shown["$ref"].rsplit("/", 1)[1]]
    if "content" not in shown:
        assert not answer.content
        return
    kind = answer["Content-Type"].split(";")[0]
    schema = {**strict(shown["content"][kind]["schema"]), "components": strict(document()["components"])}
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(answer.json())


def strict(value: Any) -> Any:
    """The same shapes, but nothing may be there that is not described."""
    if isinstance(value, list):
        return [strict(each) for each in value]
    if not isinstance(value, dict):
        return value
    closed = {"additionalProperties": False} if isinstance(value.get("properties"), dict) else {}
    return {**closed, **{key: strict(each) for key, each in value.items()}}


def test_every_route_is_in_the_document_and_nothing_else() -> None:
    in_document = {
        (path.removeprefix("/"), method) for path, entry in document()["paths"].items() for method in entry
    }
    found = {(path.replace("{pk}", "{id}"), method) for path, method in routes(get_resolver())}
    assert found
    assert in_document == found


def test_every_described_operation_has_a_route() -> None:
    made = {each["operationId"] for entry in document()["paths"].values() for each in entry.values()}
    assert {key.replace(".", "_").replace("-", "_") for key in OPERATIONS} == made


def test_every_reference_leads_somewhere() -> None:
    found = set(re.findall(r"'#/components/(\w+)/(\w+)'", str(document())))
    for kind, name in found:
        assert name in document()["components"][kind]
    assert {name for kind, name in found if kind == "schemas"} == set(document()["components"]["schemas"])


def test_every_operation_says_which_scope_it_needs() -> None:
    for entry in document()["paths"].values():
        for operation in entry.values():
            assert all(next(iter(access.values())) for access in operation["security"])


def test_the_idempotency_key_and_the_entity_tags_are_described() -> None:
    named = {each["name"] for each in described("/api/v1/runs/", "post")["parameters"]}
    assert named == {"Idempotency-Key"}
    publish = described("/api/v1/workflows/", "post")
    assert {each["name"] for each in publish["parameters"]} == {"If-Match"}
    assert "ETag" in publish["responses"]["201"]["headers"]
    assert "412" in publish["responses"]


def test_the_document_is_served_to_whoever_may_come_in(clients: dict[str, APIClient]) -> None:
    answer = clients["viewer"].get("/api/v1/schema/")
    assert (answer.status_code, answer.json()["openapi"]) == (200, "3.1.0")
    assert clients["anonymous"].get("/api/v1/schema/").status_code == 401


def test_the_pages_show_every_operation_without_any_script_of_others(clients: dict[str, APIClient]) -> None:
    page = clients["viewer"].get("/api/v1/docs/").content.decode()
    for path, entry in document()["paths"].items():
        assert path in page
        for operation in entry.values():
            assert f'id="{operation["operationId"]}"' in page
    assert "<script>" not in page
    assert "style=" not in page
    stranger = clients["anonymous"].get("/api/v1/docs/")
    assert (stranger.status_code, stranger["Location"]) == (302, "/sign-in/?next=/api/v1/docs/")


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize(
    "name",
    ["targets", "groups", "credentials", "environment-defaults", "host-keys", "host-certificate-authorities",
     "workflows", "files", "runs", "tokens", "proposals"],
)  # fmt: skip
def test_lists_are_as_described(clients: dict[str, APIClient], submit_as: Any, name: str) -> None:
    fill(clients["admin"], submit_as)
    answer = clients["admin"].get(f"/api/v1/{name}/")
    assert answer.json()["results"]
    is_as_described(answer, f"/api/v1/{name}/", "get")
    first = answer.json()["results"][0]
    if f"/api/v1/{name}/{{id}}/" in document()["paths"] and name != "tokens":
        one = clients["admin"].get(f"/api/v1/{name}/{first['id']}/")
        is_as_described(one, f"/api/v1/{name}/{{id}}/", "get")


def fill(admin: APIClient, submit_as: Any) -> None:
    """One of everything."""
    secret = {"name": "c", "kind": "password", "username": "root", "password": "correct horse battery"}
    key = {"key_type": "ssh-ed25519", "key": HOST_KEY}
    target = admin.get("/api/v1/targets/").json()["results"][0]["id"]
    bodies = {
        "credentials": secret,
        "host-keys": {"target": target, **key},
        "host-certificate-authorities": {"name": "ca", **key},
        "workflows": {"definition": READ_UPTIME},
        "tokens": {"name": "t", "kind": "service", "scopes": ["runs:read"]},
        "proposals": {"request": "show uptime of web servers"},
    }
    for name, body in bodies.items():
        answer = admin.post(f"/api/v1/{name}/", body)
        assert answer.status_code == 201, answer.content
        is_as_described(answer, f"/api/v1/{name}/", "post")
    credential = admin.get("/api/v1/credentials/").json()["results"][0]["id"]
    body = {"environment": "prod", "credential": credential}
    answer = admin.post("/api/v1/environment-defaults/", body)
    is_as_described(answer, "/api/v1/environment-defaults/", "post")
    tried = admin.post(f"/api/v1/credentials/{credential}/test/")
    assert tried.status_code == 200
    is_as_described(tried, "/api/v1/credentials/{id}/test/", "post")
    data: Any = b"text"
    stored = admin.post("/api/v1/files/?name=a.txt", data, content_type="application/octet-stream")
    is_as_described(stored, "/api/v1/files/", "post")
    submit_as(admin)


def test_a_runs_answers_are_as_described(clients: dict[str, APIClient], submit_as: Any) -> None:
    operator = clients["operator"]
    body = {"definition": TOUCH, "targets": "group:web", "parameters": {"file": "/x"}}
    is_as_described(operator.post("/api/v1/runs/", body), "/api/v1/runs/", "post")
    run = submit_as(operator, dry_run=True)
    for part in ("", "plan/", "results/", "events/", "forecast/"):
        answer = operator.get(f"/api/v1/runs/{run.pk}/{part}")
        assert answer.status_code == 200, answer.content
        is_as_described(answer, f"/api/v1/runs/{{id}}/{part}", "get")
    for verb in ("cancel", "approve"):
        answer = operator.post(f"/api/v1/runs/{run.pk}/{verb}/", {})
        is_as_described(answer, f"/api/v1/runs/{{id}}/{verb}/", "post")


def test_answers_about_workflows_are_as_described(clients: dict[str, APIClient]) -> None:
    operator = clients["operator"]
    for summary in ("One", "Two"):
        operator.post("/api/v1/workflows/", {"definition": READ_UPTIME | {"summary": summary}})
    for part in ("", "versions/", "diff/"):
        answer = operator.get(f"/api/v1/workflows/uptime/{part}")
        is_as_described(answer, f"/api/v1/workflows/{{name}}/{part}", "get")
    same = operator.get("/api/v1/workflows/uptime/", headers={"If-None-Match": '"2"'})
    is_as_described(same, "/api/v1/workflows/{name}/", "get")
    moved = operator.post("/api/v1/workflows/", {"definition": READ_UPTIME}, headers={"If-Match": '"1"'})
    assert moved.status_code == 412
    is_as_described(moved, "/api/v1/workflows/", "post")


def test_looks_and_imports_are_as_described(clients: dict[str, APIClient], web: Any) -> None:
    path = "/api/v1/targets/{id}/"
    for verb in ("test", "scan", "facts"):
        answer = clients["operator"].post(f"/api/v1/targets/{web[0].pk}/{verb}/")
        is_as_described(answer, f"{path}{verb}/", "post")
    is_as_described(clients["viewer"].get(f"/api/v1/targets/{web[0].pk}/tests/"), f"{path}tests/", "get")
    many = clients["operator"].post("/api/v1/targets/looks/", {"targets": "all"})
    is_as_described(many, "/api/v1/targets/looks/", "post")
    body = {"format": "csv", "content": "name,address\nnew,new.example.org\n", "dry_run": True}
    answer = clients["admin"].post("/api/v1/inventory/import/", body)
    assert answer.status_code == 200, answer.content
    is_as_described(answer, "/api/v1/inventory/import/", "post")


@pytest.mark.parametrize(
    ("path", "query"),
    [("/api/v1/targets/", "q=("), ("/api/v1/runs/", "status=x"), ("/api/v1/groups/", "limit=0")],
)
def test_refusals_are_as_described(clients: dict[str, APIClient], path: str, query: str) -> None:
    answer = clients["viewer"].get(f"{path}?{query}")
    assert answer.status_code == 400
    is_as_described(answer, path, "get")
    is_as_described(clients["anonymous"].get(path), path, "get")
