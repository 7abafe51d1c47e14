"""The supervisor's look at its workers' leases, in a thread of its own: it must not wait for the database."""

import logging
import threading
import time
from collections.abc import Callable

from django.db import InterfaceError, OperationalError, connections

from automation.workers.leases import end_leases, silent_workers
from opsportal.watches import SILENCE_SECONDS

LEASE_SECONDS = 1.0
SLOW_ROUND = 5.0
logger = logging.getLogger(__name__)


class LeaseWatch:
    """Ends the leases of workers that are gone and looks for silent ones, however slow the database is."""

    def __init__(
        self,
        *,
        end: Callable[[str], None] = end_leases,
        silent: Callable[[list[str], float], list[str]] = silent_workers,
    ) -> None:
        self._end_leases = end
        self._silent_workers = silent
        self._lock = threading.Lock()
        self._living: list[str] = []
        self._gone: list[str] = []
        self._silent: list[str] = []
        self._wake = threading.Event()
        threading.Thread(target=self._run, name="lease watch", daemon=True).start()

    def update(self, *, living: list[str], gone: list[str]) -> list[str]:
        """Tell which workers live and which have ended since; those of the living that were silent lately."""
        with self._lock:
            self._living = living
            self._gone += gone
            silent, self._silent = self._silent, []
        if gone:
            self._wake.set()
        return [worker_id for worker_id in silent if worker_id in living]

    def settle(self, timeout: float) -> bool:
        """Wait until the leases of all that are gone have ended; False when that took too long."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            with self._lock:
                if not self._gone:
                    return True
            time.sleep(0.05)
        return False

    def _run(self) -> None:
        before = time.clock_gettime(time.CLOCK_BOOTTIME)
        away = False
        while True:
            now = time.clock_gettime(time.CLOCK_BOOTTIME)
            # After a suspended machine or a database that did not answer, nobody could report: give everybody
            # a round's time to do so.
            forgiving, before = away or now - before > SLOW_ROUND, now
            try:
                self._round(forgiving=forgiving)
                away = False
            except (OperationalError, InterfaceError) as error:
                away = True
                logger.warning("the supervisor cannot reach the leases: %s", error)
            except Exception:
                away = True
                logger.exception("the supervisor cannot reach the leases")
            finally:
                connections.close_all()
            self._wake.wait(SLOW_ROUND if forgiving and not away else LEASE_SECONDS)
            self._wake.clear()

    def _round(self, *, forgiving: bool) -> None:
        with self._lock:
            living, gone = list(self._living), list(self._gone)
        for worker_id in gone:
            self._end_leases(worker_id)
            with self._lock:
                self._gone.remove(worker_id)
        silent = [] if forgiving or not living else self._silent_workers(living, SILENCE_SECONDS)
        with self._lock:
            self._silent = silent
