"""The product itself: `manage.py up` on a free port, with a data directory of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from benchmarks import processor_time
from benchmarks.targets import Farm

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 60.0
RUN_SECONDS = 300.0
LOOK_SECONDS = 0.02


class Portal:
    """Runs for as long as the `with` block lasts."""

    def __init__(self, data: Path, **settings: str) -> None:
        """`settings` are variables of the environment."""
        self.data = data
        self._settings = settings
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._token = ""

    def __enter__(self) -> Portal:
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "up", "--port", str(self.port)],
            env=self.environment,
            stdout=(self.data / "out").open("wb"),
            stderr=subprocess.STDOUT,
        )
        end = time.monotonic() + READY_SECONDS
        while not self._ready():
            if time.monotonic() > end or self._process.poll() is not None:
                self.__exit__()
                raise SystemExit(f"The portal did not start:\n{(self.data / 'out').read_text()[-2000:]}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)

    @property
    def token(self) -> str:
        """For the API; there is one after `add`."""
        return self._token

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def cpu(self) -> float:
        """CPU seconds of `up`, web and all workers so far."""
        return processor_time.of_trees([self.pid])

    def add(self, farm: Farm, *, most: int | None = None) -> None:
        """Put all targets of the farm (or the first `most`) into the inventory; get a token for the API."""
        file = self.data / "seed.json"
        targets = [vars(place) for place in farm.places[:most]]
        file.write_text(json.dumps({"login": farm.login, "key": str(farm.key), "targets": targets}))
        code = f"from benchmarks.seed import seed; seed({str(file)!r})"
        subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), "shell", "--no-imports", "-c", code],
            env=self.environment,
            check=True,
        )
        self._token = json.loads(file.read_text(encoding="utf-8"))["token"]

    def submit(self, definition: dict[str, Any], *, targets: str = "all") -> int:
        """The new run's id."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        with closing(connection):
            connection.request(
                "POST",
                "/api/v1/runs/",
                json.dumps({"definition": definition, "targets": targets}),
                {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"},
            )
            response = connection.getresponse()
            answer = json.loads(response.read())
        if response.status != 201:
            raise SystemExit(f"The portal did not take the run: {answer}")
        return int(answer["id"])

    def wait(self, run: int, *, seconds: float = RUN_SECONDS) -> tuple[float, float]:
        """When all results were stored, and when the run was finished; `time.monotonic()` seconds."""
        end = time.monotonic() + seconds
        stored = 0.0
        # Read straight from the file: asking the API would cost the portal CPU that no user causes.
        with closing(sqlite3.connect(f"file:{self.data}/opsportal.sqlite3?mode=ro", uri=True)) as database:
            while time.monotonic() < end:
                if not stored and not _one(database, UNFINISHED, run):
                    stored = time.monotonic()
                if stored and (status := _one(database, STATUS, run)) not in ("queued", "running"):
                    if status != "succeeded":
                        raise SystemExit(f"The run ended {status}: {self._why(database, run)}")
                    return stored, time.monotonic()
                time.sleep(LOOK_SECONDS)
        raise SystemExit(f"Run {run} did not end in {seconds:.0f} s")

    def printed(self, run: int) -> Iterator[bytes]:
        """What the scripts of a run wrote to stdout, as it is stored, piece by piece."""
        with closing(sqlite3.connect(f"file:{self.data}/opsportal.sqlite3?mode=ro", uri=True)) as database:
            for (data,) in database.execute(PRINTED, [run]):
                yield data

    def _why(self, database: sqlite3.Connection, run: int) -> list[Any]:
        return database.execute(CODES, [run]).fetchall()

    @property
    def environment(self) -> dict[str, str]:
        own = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OPSPORTAL_", "DJANGO_", "Q_CLUSTER", "DATABASE_URL"))
        }
        return {**own, "OPSPORTAL_DATA": str(self.data), "OPSPORTAL_LOG_LEVEL": "WARNING", **self._settings}

    def _ready(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        with closing(connection):
            try:
                connection.request("GET", "/readyz")
                return connection.getresponse().status == 200
            except (OSError, HTTPException):
                return False


UNFINISHED = "SELECT count(*) FROM automation_stepresult WHERE run_id = ? AND state IN ('pending', 'running')"
STATUS = "SELECT status FROM automation_jobrun WHERE id = ?"
PRINTED = """
    SELECT chunk.data FROM automation_outputchunk chunk
    JOIN automation_attempt attempt ON attempt.id = chunk.attempt_id
    JOIN automation_stepresult result ON result.id = attempt.result_id
    WHERE result.run_id = ? AND chunk.stream = 'stdout' ORDER BY chunk.id
"""
CODES = "SELECT code, message, count(*) FROM automation_stepresult WHERE run_id = ? GROUP BY 1, 2"


def _one(database: sqlite3.Connection, query: str, run: int) -> Any:
    return database.execute(query, [run]).fetchone()[0]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
