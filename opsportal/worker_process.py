"""The main process of a worker command: starts the cluster, reports that it lives, ends it in good order."""

import logging
import os
import signal
import threading
from collections.abc import Callable
from uuid import uuid4

from django.db import InterfaceError, OperationalError, connections

import automation.tasks  # noqa: F401  before the fork: every process runs the code this command began with
from automation.workers.draining import DRAINING, SharedFlag
from automation.workers.leases import worker_heartbeat
from automation.workers.queue import offer_again
from automation.workers.sweeper import sweep
from opsportal.fail_fast import FORK, GAVE_UP, FailFastSentinel

HEARTBEAT_SECONDS = 2.0
SWEEP_SECONDS = 1.0
logger = logging.getLogger(__name__)


class Periodic:
    """Calls an action again and again in a thread with database connections of its own."""

    def __init__(self, action: Callable[[], None], *, name: str, seconds: float) -> None:
        self.action = action
        self.seconds = seconds
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self, *, wait: float = 2.0) -> None:
        """Ask for the end and wait for it, but not for a database that does not answer."""
        self.ended.set()
        self.thread.join(wait)

    def _run(self) -> None:
        try:
            while True:
                self._once()
                if self.ended.wait(self.seconds):
                    return
        finally:
            connections.close_all()

    def _once(self) -> None:
        try:
            self.action()
        except Exception as error:
            away = isinstance(error, OperationalError | InterfaceError)
            logger.error(
                "periodic work failed: %s", error, exc_info=not away, extra={"work": self.thread.name}
            )
            connections.close_all()  # the connection itself may be what is broken


def run_cluster(cluster: str, worker_id: str) -> int:
    """Run one cluster until SIGTERM or SIGINT; the exit status: 0 in good order, GAVE_UP otherwise."""
    started = SharedFlag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: DRAINING.set())
    if offered := offer_again(cluster):
        logger.info("unfinished tasks are offered again", extra={"cluster": cluster, "tasks": offered})
    connections.close_all()  # a forked connection would be shared
    sentinel = FORK.Process(
        target=FailFastSentinel, args=(DRAINING, started, uuid4()), kwargs={"parent": os.getpid()}
    )
    sentinel.start()
    # Threads only after the fork: a lock one of them holds at that moment would stay locked in the child.
    periodics = _periodics(cluster, worker_id)
    while sentinel.is_alive() and not started.wait(0.2):
        pass
    for periodic in periodics:
        periodic.start()
    while sentinel.is_alive():
        sentinel.join(0.5)
    for periodic in periodics:
        periodic.stop()
    if DRAINING.is_set() and sentinel.exitcode == 0:
        return 0
    logger.critical("sentinel ended", extra={"exit_status": sentinel.exitcode, "cluster": cluster})
    return GAVE_UP


def _periodics(cluster: str, worker_id: str) -> list[Periodic]:
    def heartbeat() -> None:
        worker_heartbeat(worker_id, cluster)

    periodics = [Periodic(heartbeat, name="heartbeat", seconds=HEARTBEAT_SECONDS)]
    if cluster == "control":
        periodics.append(Periodic(sweep, name="sweep", seconds=SWEEP_SECONDS))
    return periodics
