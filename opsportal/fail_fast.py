"""A django-q2 sentinel that gives up the whole cluster when one of its processes is killed.

django-q2 replaces a killed process. But a process that is killed while it waits for work holds the lock of
the queue for ever: its replacement and all others then wait as well, without a word. Starting anew is safe,
because what was under way is in our rows and on the targets.
"""

import logging
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from typing import Any, Final
from uuid import UUID

from django_q.cluster import Sentinel
from django_q.conf import Conf
from django_q.worker import worker

from automation.workers.draining import SharedFlag
from opsportal.parent_death import end_with_parent

FORK: Final = multiprocessing.get_context("fork")
GAVE_UP: Final = 75  # EX_TEMPFAIL: start me again
logger = logging.getLogger(__name__)


class FailFastSentinel(Sentinel):  # type: ignore[misc]  # django-q2 has no types
    """Runs until `stop` is set, then lets the workers finish; or ends the process with GAVE_UP."""

    def __init__(self, stop: SharedFlag, started: SharedFlag, cluster_id: UUID, *, parent: int) -> None:
        end_with_parent(parent)
        super().__init__(stop, started, cluster_id, start=False)
        self.event_out = SharedFlag()  # tells the pusher to end; in the base class it has a lock
        self.start()

    def spawn_process(self, target: Callable[..., object], *args: Any) -> ForkProcess:
        process = FORK.Process(target=_run_tied, args=(os.getpid(), target, *args), daemon=True)
        if target is worker:
            process.timer = args[2]  # type: ignore[attr-defined]  # where the base class looks for it
            self.pool.append(process)
        process.start()
        return process

    def guard(self) -> None:
        self.start_event.set()
        logger.info("cluster runs", extra={"cluster": Conf.CLUSTER_NAME, "workers": len(self.pool)})
        while not self.stop_event.wait(Conf.GUARD_CYCLE):
            for process in [*self.pool, self.monitor, self.pusher]:
                # Before anything that takes a lock: a killed process may hold it.
                if process.exitcode is not None and process.exitcode < 0:
                    self.give_up(process, f"killed by signal {-process.exitcode}")
            for process in list(self.pool):
                self.guard_worker(process)
            for process in (self.monitor, self.pusher):
                if not process.is_alive():
                    self.reincarnate(process)
        self.stop()

    def guard_worker(self, process: Any) -> None:
        """Replace a worker that ended by itself; count down the time of a busy one."""
        if not process.is_alive():
            self.reincarnate(process)
            return
        lock = process.timer.get_lock()
        if not lock.acquire(timeout=Conf.GUARD_CYCLE):
            return  # it is handing in a result, or was just killed: the next round knows
        try:
            if process.timer.value > 0:
                process.timer.value = max(process.timer.value - Conf.GUARD_CYCLE, 0)
            overdue = process.timer.value == 0
        finally:
            lock.release()
        if overdue:
            process.join(5)  # a task that was cut by its own timer leaves a zero as well, and then ends
            if process.is_alive():
                self.give_up(process, "still busy after its time was up")

    def give_up(self, process: Any, reason: str) -> None:
        logger.critical("cluster gives up", extra={"reason": reason, "pid_lost": process.pid})
        for other in [*self.pool, self.monitor, self.pusher]:
            other.kill()
        os._exit(GAVE_UP)  # without waiting for threads that may hang on a lock of the dead


def _run_tied(parent: int, target: Callable[..., object], *args: Any) -> None:
    end_with_parent(parent)
    target(*args)
