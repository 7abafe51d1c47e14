"""Where I/O threads leave what happened for the one thread that writes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

MOST_BYTES = 2 * 1024 * 1024
"""What waits at most. The writer holds several copies of it: as read, masked, cut, bound to SQL."""


class Inbox:
    """A queue whose producers wait while too many bytes of output lie unread in it.

    The wait is the back-pressure that reaches the target through the SSH window, so that memory stays bounded
    whatever a target prints.
    """

    def __init__(self, *, max_bytes: int = MOST_BYTES) -> None:
        self._max = max_bytes
        self._items: deque[tuple[Any, int]] = deque()
        self._bytes = 0
        self._jobs = 0
        self._closed = False
        self._changed = threading.Condition()

    def expect(self) -> None:
        """One more job is under way, which will put its `last` item some time."""
        with self._changed:
            self._jobs += 1

    def put(self, item: Any, *, size: int = 0, last: bool = False) -> None:
        with self._changed:
            while size and self._bytes > self._max and not self._closed:
                self._changed.wait()
            self._items.append((item, size))
            self._bytes += size
            self._jobs -= last
            if len(self._items) == 1 or self._bytes > self._max or not self._jobs:
                self._changed.notify_all()

    def take(self, *, timeout: float, linger: float) -> list[Any]:
        """Everything there is: waits up to `timeout` seconds for the first item, then `linger` for others.

        It lingers no longer once no more output fits, nor when no job is left that could report.
        """
        with self._changed:
            if not self._items:
                self._changed.wait(timeout)
            if not self._items:
                return []
            end = time.monotonic() + linger
            while self._jobs and self._bytes <= self._max and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            items = [item for item, _ in self._items]
            self._items.clear()
            self._bytes = 0
            self._changed.notify_all()
        return items

    def close(self) -> None:
        """Nobody will read any more: let waiting producers go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Crew:
    """Daemon threads that run jobs.

    Not a ThreadPoolExecutor: that one joins its threads when the interpreter ends, so a target that hangs
    would keep a worker from stopping.
    """

    def __init__(self, size: int) -> None:
        self._jobs: deque[Callable[[], None]] = deque()
        self._ready = threading.Condition()
        self._idle = 0
        self._size = size
        self._threads = 0
        self._closed = False

    def submit(self, job: Callable[[], None]) -> None:
        with self._ready:
            self._jobs.append(job)
            if self._idle >= len(self._jobs):
                self._ready.notify()
            elif self._threads < self._size:
                self._threads += 1
                threading.Thread(target=self._work, daemon=True, name="io").start()

    def close(self) -> None:
        """Threads end after the job they have; jobs not begun are forgotten."""
        with self._ready:
            self._closed = True
            self._jobs.clear()
            self._ready.notify_all()

    def _work(self) -> None:
        while True:
            with self._ready:
                while not self._jobs and not self._closed:
                    self._idle += 1
                    self._ready.wait()
                    self._idle -= 1
                if self._closed:
                    return
                job = self._jobs.popleft()
            job()
