"""The product's web server as a process of its own, on the database of the tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from importlib import import_module
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.database import database_url
from tests.opsportal.portal import free_port

MANAGE = Path(settings.BASE_DIR) / "manage.py"
READY_SECONDS = 60.0
BACKEND = "django.contrib.auth.backends.ModelBackend"


class Server:
    """`manage.py web` on a port of its own; it may be killed and started again."""

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "opsportal.settings",
            "DATABASE_URL": database_url(),
        }
        command = [sys.executable, str(MANAGE), "web", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        end = time.monotonic() + READY_SECONDS
        while not self._answers():
            assert self._process.poll() is None and time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(20)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop(signal.SIGKILL)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def socket(self, run: int | str, *, after: int | str = 0, **wanted: Any) -> ClientConnection:
        """An open socket on a run; `headers` are sent along, `origin` is the portal's own."""
        given = {
            "origin": self.origin,
            "ping_interval": None,
            "compression": None,
            "max_queue": None,
        } | wanted
        given["additional_headers"] = given.pop("headers", None)
        return connect(f"ws://127.0.0.1:{self.port}/ws/runs/{run}/?after={after}", **given)

    @contextmanager
    def stream(self, run: int, *, after: int = 0, headers: dict[str, str]) -> Iterator[Iterator[str]]:
        """Lines of the server-sent events of a run."""
        client = HTTPConnection("127.0.0.1", self.port, timeout=30)
        accept = {"Accept": "text/event-stream"}
        client.request("GET", f"/api/v1/runs/{run}/events/?after={after}", headers=accept | headers)
        response = client.getresponse()
        try:
            assert response.status == 200, (response.status, response.read())
            assert response.headers["Content-Type"] == "text/event-stream"
            yield (line.decode().rstrip("\n") for line in response)
        finally:
            client.close()

    def get(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        client = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            client.request("GET", path, headers=headers)
            response = client.getresponse()
            return response.status, response.read()
        finally:
            client.close()

    def _answers(self) -> bool:
        try:
            return self.get("/healthz", {})[0] == 200
        except OSError:
            return False


def signed_in(user: User) -> dict[str, str]:
    """The headers of a browser in which the user has signed in."""
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    store[SESSION_KEY], store[BACKEND_SESSION_KEY] = str(user.pk), BACKEND
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.save()
    return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={store.session_key}"}


def next_frame(socket: ClientConnection, *, seconds: float = 10) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(socket.recv(timeout=seconds))
    return frame


def frames_until(socket: ClientConnection, last: int) -> list[dict[str, Any]]:
    """The frames up to the event with this number, `hello` left out."""
    found: list[dict[str, Any]] = []
    while not found or found[-1].get("seq") != last:
        frame = next_frame(socket)
        if frame.get("kind") != "hello":
            found.append(frame)
    return found


def closed_with(socket: ClientConnection, *, seconds: float = 12) -> int | None:
    """The code with which the server closes; what it sends before is thrown away."""
    end = time.monotonic() + seconds
    try:
        while True:
            socket.recv(timeout=max(0.1, end - time.monotonic()))
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None
