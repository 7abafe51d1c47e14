"""What the supervisor wants to know but must not wait for: each question is asked in a thread of its own."""

import http.client
import threading
import time

HEALTH_SECONDS = 2.0
ANSWER_SECONDS = 5.0
SILENCE_SECONDS = 15.0


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


class NoLeases:
    """Where no worker is watched: there is no lease to end, and nobody can be silent."""

    def update(self, *, living: list[str], gone: list[str]) -> list[str]:
        return []

    def settle(self, timeout: float) -> bool:
        return True
