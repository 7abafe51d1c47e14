"""Counters of what one address or one person did in this minute.

They are in the process's own memory. Several web processes therefore let through as many times as much; what
is protected is each process, and a counter in the database would cost every read a write.
"""

from __future__ import annotations

import math
import time

from django.core.cache import cache
from rest_framework import exceptions

MINUTE = 60


class TooManyRequests(exceptions.APIException):
    """429; `wait` seconds become `Retry-After`. No Problem: those know the views, which know us."""

    status_code = 429

    def __init__(self, detail: str, *, code: str, wait: int) -> None:
        super().__init__(f"{detail} Come again in {wait} seconds.", code)
        self.wait = wait


def wait_after(key: str, most: int) -> int | None:
    """Count one more under `key`; the seconds to wait when that is more than `most` in this minute."""
    now = time.time()
    window = f"limit-{key}-{int(now // MINUTE)}"
    cache.add(window, 0, 2 * MINUTE)
    try:
        count = cache.incr(window)
    except ValueError:  # thrown out of a full cache this very moment
        return None
    return max(1, math.ceil(MINUTE - now % MINUTE)) if count > most else None
