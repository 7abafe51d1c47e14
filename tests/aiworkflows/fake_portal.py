"""A portal whose automation side is played by plain views, met across the real in-process transport.

It notes who asked, by the keys that only code in this process can set.
"""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from aiworkflows.in_process import AUTH_KEY, PRINCIPAL_KEY

TARGETS = [
    {
        "id": 1,
        "name": "web-1",
        "groups": ["web servers"],
        "tags": [],
        "environment": "prod",
        "platform": "linux",
    },
    {
        "id": 2,
        "name": "web-2",
        "groups": ["web servers"],
        "tags": ["edge"],
        "environment": "",
        "platform": "linux",
    },
]


class Automation:
    """What was asked, and how to answer submissions."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.problem: dict[str, Any] | None = None

    def note(self, request: HttpRequest) -> dict[str, Any]:
        seen = {
            "path": request.path,
            "principal": request.META.get(PRINCIPAL_KEY),
            "auth": request.META.get(AUTH_KEY),
            "key": request.headers.get("Idempotency-Key"),
            "authorization": request.headers.get("Authorization"),
            "cookie": request.headers.get("Cookie"),
            "secure": request.is_secure(),
            "body": json.loads(request.body) if request.body else None,
        }
        self.seen.append(seen)
        return seen


automation = Automation()


def listing(rows: list[dict[str, Any]]) -> JsonResponse:
    return JsonResponse({"next": None, "previous": None, "results": rows})


def targets(request: HttpRequest) -> HttpResponse:
    automation.note(request)
    return listing(TARGETS)


def groups(request: HttpRequest) -> HttpResponse:
    automation.note(request)
    return listing([{"id": 1, "name": "web servers"}])


@csrf_exempt
def runs(request: HttpRequest) -> HttpResponse:
    seen = automation.note(request)
    if automation.problem:
        body = automation.problem
        return JsonResponse(body, status=body["status"], content_type="application/problem+json")
    known = automation.runs.get(seen["key"])
    run = known or {"id": 40 + len(automation.runs), "status": "queued", "plan_hash": "abc"}
    automation.runs[seen["key"]] = run
    return JsonResponse(run, status=200 if known else 201)


def run(request: HttpRequest, number: int) -> HttpResponse:
    automation.note(request)
    return JsonResponse({"id": number, "status": "running"})


def output(request: HttpRequest, number: int) -> HttpResponse:
    automation.note(request)
    offset = int(request.GET["offset"])
    return HttpResponse(b"\xff\x00caf\xc3\xa9"[offset:], content_type="application/octet-stream")


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("the view broke")


urlpatterns = [
    path("api/v1/targets/", targets),
    path("api/v1/groups/", groups),
    path("api/v1/runs/", runs),
    path("api/v1/runs/<int:number>/", run),
    path("api/v1/runs/<int:number>/output/", output),
    path("api/v1/workflows/", broken),
    path("api/v1/", include("aiworkflows.api.urls")),
]
handler404 = "opsportal.error_pages.page_not_found"
handler500 = "opsportal.error_pages.server_error"
