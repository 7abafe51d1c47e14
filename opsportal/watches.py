"""What the supervisor wants to know but must not wait for: each question is asked in a thread of its own."""

import http.client
import logging
import threading
import time
from collections.abc import Callable

from django.db import InterfaceError, OperationalError, connections

from automation.workers.leases import end_leases, silent_workers

HEALTH_SECONDS = 2.0
ANSWER_SECONDS = 5.0
LEASE_SECONDS = 1.0
SILENCE_SECONDS = 15.0
SLOW_ROUND = 5.0
logger = logging.getLogger(__name__)


class WebWatch:
    """Asks the web process again and again whether it lives and whether the portal is ready."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.ready = threading.Event()
        self._answered: float | None = None  # None: not yet, since the last start
        threading.Thread(target=self._run, name="web watch", daemon=True).start()

    def started_anew(self) -> None:
        """Silence counts from the first answer of the new process on."""
        self._answered = None

    def forgive(self, now: float) -> None:
        """We ourselves did not run for a while: nobody could answer."""
        if self._answered is not None:
            self._answered = now

    def silent_for(self, now: float) -> float:
        """Seconds since the last answer; 0 before the first."""
        answered = self._answered
        return 0.0 if answered is None else now - answered

    def _run(self) -> None:
        while True:
            if self._status("/healthz") == http.HTTPStatus.OK:
                self._answered = time.monotonic()
                if not self.ready.is_set() and self._status("/readyz") == http.HTTPStatus.OK:
                    self.ready.set()
            time.sleep(HEALTH_SECONDS if self.ready.is_set() else 0.3)

    def _status(self, path: str) -> int | None:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=ANSWER_SECONDS)
        try:
            # A name that is always allowed, whatever address we listen on.
            connection.request("GET", path, headers={"Host": "localhost", "Connection": "close"})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


class NoWeb:
    """Where no web process is watched: there is nothing to wait for, and nobody can be silent."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.ready.set()

    def started_anew(self) -> None:
        """Nothing was started."""

    def forgive(self, now: float) -> None:
        """Nobody owes an answer."""

    def silent_for(self, now: float) -> float:
        return 0.0


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
