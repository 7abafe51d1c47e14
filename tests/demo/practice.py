"""A practice host for tests: it runs in a thread of this process, with an event loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from automation.libraries.ssh_connection import SSHConnection, connect
from automation.libraries.types import Credentials, Endpoint
from credentials.secret import Secret
from opsportal.demo.hosts import LOGIN, PracticeHost, client_key, make_hosts
from opsportal.demo.sandbox import Sandbox
from opsportal.demo.server import RunningHost
from tests.libraries.envelope.login import Login, eventually


class Practice:
    """One running practice host and the ways to reach it."""

    def __init__(self, base: Path, host: PracticeHost) -> None:
        self.base = base
        self.host = host
        self.running = RunningHost(host, base)
        self.credentials = Credentials(LOGIN, private_key=Secret(client_key(base).read_text()))

    @property
    def endpoint(self) -> Endpoint:
        key = " ".join(self.host.host_key(self.base).with_suffix(".pub").read_text().split()[:2])
        return Endpoint("127.0.0.1", self.host.ssh, (key,))

    @property
    def sandbox(self) -> Sandbox:
        assert self.running.sandbox is not None
        return self.running.sandbox

    def connect(self) -> SSHConnection:
        return connect(self.endpoint, self.credentials)

    @contextlib.contextmanager
    def login(self, *, become: bool = False) -> Iterator[Login]:
        connection = self.connect()
        try:
            yield Login(connection, become=become)
        finally:
            connection.close()


@contextlib.contextmanager
def practice_host(base: Path) -> Iterator[Practice]:
    """Running from here to the end of the block; all its processes are gone then."""
    practice = Practice(base, make_hosts(base)[0])
    loop = asyncio.new_event_loop()
    serving = loop.create_task(practice.running.serve())

    def run() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(serving)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        eventually(lambda: serving.done() or _listens(practice), within=30)
        yield practice
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join()
        loop.close()


def _listens(practice: Practice) -> bool:
    try:
        practice.connect().close()
    except Exception:  # noqa: BLE001  whatever it is, it is not ready; the caller's patience ends
        return False
    return True
