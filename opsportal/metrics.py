"""/metrics for Prometheus: what the rows say of the installation, and what this web process has seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django_q.models import OrmQ
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from rest_framework.request import Request
from rest_framework.views import APIView

from automation.api.authentication import BearerAuthentication
from automation.api.permissions import HasScope
from automation.models import Attempt, AttemptState, JobRun, RunStatus, Shard, WorkerProcess
from automation.workers.leases import FRESH_SECONDS

API = "/api/v1/"
LATENCY = Histogram(
    "opsportal_api_seconds",
    "Seconds until the API's answer began, in the web process that answered. Long polls wait on purpose.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


class ApiLatency:
    """Measures every call of the API, by the route's name: no address and no name becomes a label."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(API):
            return self.get_response(request)
        begun = time.perf_counter()
        response = self.get_response(request)
        route = request.resolver_match.view_name if request.resolver_match else "none"
        method = request.method if request.method in ("GET", "HEAD", "POST", "PATCH", "DELETE") else "other"
        LATENCY.labels(method, route, f"{response.status_code // 100}xx").observe(time.perf_counter() - begun)
        return response


class StoredRows(Collector):
    """What the rows say at the moment of asking; every label value that can be is there, if only with 0."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield _gauge("runs", "Runs by status.", "status", dict.fromkeys(RunStatus.values, 0) | _runs())
        yield _gauge(
            "attempts_last_day",
            "Tries to start a step's body, in runs of the last 24 hours, by state.",
            "state",
            dict.fromkeys(AttemptState.values, 0) | _attempts(),
        )
        yield _gauge("queue_depth", "Tasks that wait, by queue.", "queue", CLUSTERS | _tasks())
        waiting = Shard.objects.filter(state=Shard.State.QUEUED).count()
        yield GaugeMetricFamily("opsportal_shards_waiting", "Parts of runs that wait for a worker.", waiting)
        yield _gauge("workers_alive", "Workers heard of in the last 30 s.", "queue", CLUSTERS | _workers())


CLUSTERS = {"control": 0, "execution": 0}
INSTALLATION = CollectorRegistry()
INSTALLATION.register(StoredRows())


class MetricsView(APIView):
    """For a token whose scopes have `runs:read`; for nobody else, from wherever they ask.

    Not for the loopback as such: behind a proxy on the same machine everybody comes from there.
    """

    authentication_classes = (BearerAuthentication,)
    permission_classes = (HasScope,)
    http_method_names = ["get", "head"]  # noqa: RUF012  (DRF declares it so)
    scopes = {"GET": "runs:read"}  # noqa: RUF012  (as HasScope reads it)

    def get(self, request: Request) -> HttpResponse:
        text = generate_latest(INSTALLATION) + generate_latest(REGISTRY)
        return HttpResponse(text, content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


def _gauge(name: str, says: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"opsportal_{name}", says, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _runs() -> dict[str, int]:
    return dict(JobRun.objects.order_by().values_list("status").annotate(n=Count("pk")))


def _attempts() -> dict[str, int]:
    # Of a day, by way of the few runs: all attempts there ever were would be read at every scrape.
    recent = Attempt.objects.filter(result__run__created_at__gt=timezone.now() - timedelta(days=1))
    return dict(recent.order_by().values_list("state").annotate(n=Count("pk")))


def _tasks() -> dict[str, int]:
    return dict(OrmQ.objects.order_by().values_list("key").annotate(n=Count("pk")))


def _workers() -> dict[str, int]:
    # By the wall clock: the other clock is each machine's own, and these may be on several.
    fresh = WorkerProcess.objects.filter(seen_at__gt=timezone.now() - timedelta(seconds=FRESH_SECONDS))
    return dict(fresh.order_by().values_list("cluster").annotate(n=Count("pk")))


urlpatterns = [path("metrics", MetricsView.as_view())]
