"""Memory of processes: what each has for itself, and its share of what they have in common."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks import processor_time


def of_trees(roots: Iterable[int]) -> int:
    """Bytes of these processes and of all below them: their proportional set sizes (`man 5 proc`)."""
    return sum(map(of_process, processor_time.trees(roots)))


class Peak:
    """The most that `look` told while the `with` block lasted; it is asked each `every` seconds."""

    def __init__(self, look: Callable[[], int], *, every: float = 0.1) -> None:
        self._look = look
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.before = look()
        self.most = self.before

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.most = max(self.most, self._look())

    @property
    def growth(self) -> int:
        return self.most - self.before

    def _watch(self) -> None:
        while not self._over.wait(self._every):
            self.most = max(self.most, self._look())


def of_process(pid: int) -> int:
    """Bytes of this process alone; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
