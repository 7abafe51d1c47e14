"""Health and readiness as a load balancer sees them."""

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from automation.workers.leases import end_leases, worker_heartbeat


def test_healthz_answers_without_a_database(client: Client) -> None:
    response = client.get("/healthz")
    assert response.json() == {"status": "alive"}
    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.django_db
def test_readyz_names_each_cluster_without_a_living_worker(client: Client) -> None:
    worker_heartbeat("a" * 32, "control")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["database"] == {"ok": True, "reason": "ok"}
    assert response.json()["checks"]["workers"]["reason"] == "no worker heartbeat in the last 30 s: execution"
    worker_heartbeat("b" * 32, "execution")
    assert client.get("/readyz").status_code == 200
    end_leases("b" * 32)
    assert client.get("/readyz").status_code == 503


@pytest.mark.django_db
def test_readyz_counts_the_migrations_that_wait(client: Client) -> None:
    MigrationRecorder(connection).record_unapplied("sessions", "0001_initial")
    checks = client.get("/readyz").json()["checks"]
    assert checks["migrations"]["reason"].startswith("1 migrations are not applied")
