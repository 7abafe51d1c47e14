"""/metrics."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from rest_framework.test import APIClient

from automation.workers.leases import worker_heartbeat
from tests.api.conftest import bearer, clients, make_target, people, submit_as, token_text, web

__all__ = ["clients", "make_target", "people", "submit_as", "web"]


@pytest.fixture
def prometheus(people: dict[str, Any]) -> APIClient:
    return bearer(token_text(people["viewer"], "service", ["runs:read"]))


def samples(client: APIClient) -> dict[tuple[str, ...], float]:
    """Every value, by name and the values of its labels."""
    answer = client.get("/metrics")
    assert (answer.status_code, answer["Content-Type"].split(";")[0]) == (200, "text/plain")
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_runs_workers_and_queues_are_told(
    prometheus: APIClient, clients: dict[str, APIClient], submit_as: Any
) -> None:
    run = submit_as(clients["operator"])
    worker_heartbeat("w1", "execution")
    found = samples(prometheus)
    assert found["opsportal_runs", run.status] == 1
    assert found["opsportal_runs", "failed"] == 0
    assert found["opsportal_workers_alive", "execution"] == 1
    assert found["opsportal_workers_alive", "control"] == 0
    assert found["opsportal_attempts_last_day", "unknown"] == 0
    assert {"control", "execution"} <= {key[1] for key in found if key[0] == "opsportal_queue_depth"}
    assert ("opsportal_live_followers", "websocket") in found


def test_calls_of_the_api_are_measured_by_route_and_not_by_address(prometheus: APIClient) -> None:
    key = ("opsportal_api_seconds_count", "GET", "run-detail", "4xx")
    before = samples(prometheus).get(key, 0)
    for number in (1, 2):
        prometheus.get(f"/api/v1/runs/{number}/")
    assert samples(prometheus)[key] == before + 2


def test_only_a_token_with_the_scope_gets_them(clients: dict[str, APIClient], people: dict[str, Any]) -> None:
    assert clients["anonymous"].get("/metrics").status_code == 401
    assert clients["admin"].get("/metrics").status_code == 401  # a session: pages are not scraped
    other = bearer(token_text(people["viewer"], "service", ["inventory:read"]))
    assert other.get("/metrics").status_code == 403


def test_the_queries_do_not_grow(prometheus: APIClient, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(8):
        prometheus.get("/metrics")
