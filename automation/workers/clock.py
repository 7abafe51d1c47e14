"""The clock that leases run on.

On SQLite everything is one machine: CLOCK_BOOTTIME never jumps with the wall clock and counts sleep; its name
is the boot id, for after a restart it begins again. On PostgreSQL the database's own clock serves everybody.
"""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path

from django.db import connection

LeaseClock = tuple[str, float]


@lru_cache(maxsize=1)
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def lease_clock() -> LeaseClock:
    """The clock's name and its seconds now; leases are only comparable under the same name."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
            return "database", float(cursor.fetchone()[0])
    return _boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME)
