"""What tells other processes, on PostgreSQL, that a run's story went on; SQLite says so by itself."""

from __future__ import annotations

from django.db import connection

STORY_CHANNEL = "opsportal_story"


def story_goes_on(run_id: int) -> None:
    """Wake whoever listens, when the current transaction commits and not before; never if it does not.

    The number is all it says: what is new stands in the rows.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [STORY_CHANNEL, str(run_id)])
