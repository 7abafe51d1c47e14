"""Servers to talk to, and the proof that nothing of a conversation is left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.libraries.sshd import Sshd


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    server.stop()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Fails the test when it leaves a thread or an open file behind."""
    threads = set(threading.enumerate())
    files = open_files()
    yield
    end = time.monotonic() + 3
    while time.monotonic() < end:
        if set(threading.enumerate()) <= threads and open_files() <= files:
            return
        time.sleep(0.02)
    assert set(threading.enumerate()) <= threads
    assert open_files() <= files
