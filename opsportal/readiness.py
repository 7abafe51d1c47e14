"""What the automation service needs beyond its database: workers that report."""

from collections.abc import Callable

from django.conf import settings

from automation.workers.leases import fresh_clusters


def silent_clusters() -> str:
    """Which clusters have no living worker; empty when all have."""
    silent = sorted(set(settings.Q_CLUSTER["ALT_CLUSTERS"]) - fresh_clusters())
    return f"no worker heartbeat in the last 30 s: {', '.join(silent)}" if silent else ""


CHECKS: dict[str, Callable[[], str]] = {"workers": silent_clusters}
