"""Health and readiness as a load balancer sees them."""

from django.test import Client


def test_healthz_answers_without_a_database(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
