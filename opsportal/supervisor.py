"""Keeps web and workers running: starts, watches, restarts, and leaves no process behind."""

import signal
import time
from collections.abc import Callable, Sequence
from types import FrameType

from django.conf import settings
from django.utils.module_loading import import_string

from opsportal.console import Console
from opsportal.parent_death import adopt_orphans
from opsportal.process_groups import living_sessions
from opsportal.supervised import Supervised
from opsportal.watches import SILENCE_SECONDS, NoWeb, WebWatch

TICK = 0.1
GRACE_SECONDS = 10.0
STOPPED_LOOK_SECONDS = 3.0
OURSELVES_ASLEEP = 5.0  # a longer gap between two ticks means that this process itself did not run
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """One web process, or none, and any number of workers.

    Ends on the first SIGINT, SIGTERM or SIGHUP, giving everybody GRACE_SECONDS; at once on the second.
    """

    def __init__(
        self,
        web: Supervised | None,
        workers: Sequence[Supervised],
        console: Console,
        *,
        host: str = "",
        port: int = 0,
    ) -> None:
        self.web = web
        self.workers = list(workers)
        self.children = [*filter(None, [web]), *workers]
        self.console = console
        self.web_watch = WebWatch(host, port) if web else NoWeb()
        self.lease_watch = import_string(settings.PARTS.lease_watch)()
        self.signals = 0
        self.last_look = 0.0

    def run(self, address: str, *, on_end: Callable[[], object] = bool) -> None:
        """Until a signal ends it; says `address` once the portal is ready, or at once where only workers run.

        Calls `on_end` before the end.
        """
        adopt_orphans()
        before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        try:
            self._watch(address)
            on_end()
            self._end()
        finally:
            for child in self.children:
                child.kill("the supervisor ends")
            for number, handler in before.items():
                signal.signal(number, handler)

    def finish(self) -> None:
        """End as after a first signal; from any thread."""
        self.signals = max(self.signals, 1)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.signals += 1

    def _watch(self, address: str) -> None:
        announced = False
        last = time.monotonic()
        while not self.signals:
            now = time.monotonic()
            if now - last > OURSELVES_ASLEEP:
                self.web_watch.forgive(now)
            last = now
            self._tend(now)
            if not announced and self.web_watch.ready.is_set():
                announced = True
                self.console.say(f"OpsPortal is ready: {address}" if self.web else f"Workers run: {address}")
            time.sleep(TICK)

    def _tend(self, now: float) -> None:
        """One round: the dead are reaped and started again, the silent and the stopped are killed."""
        for child in self.children:
            child.reap()
            if not child.running and now >= child.start_at:
                child.start()
                if child is self.web:
                    self.web_watch.started_anew()
        self._kill_silent(now)
        if now - self.last_look > STOPPED_LOOK_SECONDS:
            self.last_look = now
            sessions = living_sessions()
            for child in self.children:
                if (stopped := child.stopped_for(now, sessions)) > SILENCE_SECONDS:
                    child.kill(f"one of its processes is stopped for {stopped:.0f} s")

    def _kill_silent(self, now: float) -> None:
        if self.web and (silence := self.web_watch.silent_for(now)) > SILENCE_SECONDS:
            self.web.kill(f"no answer for {silence:.0f} s")
            self.web_watch.started_anew()
        for worker_id in self._report_workers():
            for worker in self.workers:
                if worker.generation == worker_id:
                    worker.kill(f"silent for {SILENCE_SECONDS:.0f} s")

    def _report_workers(self) -> list[str]:
        gone = [generation for worker in self.workers for generation in worker.ended]
        for worker in self.workers:
            worker.ended.clear()
        living = [worker.generation for worker in self.workers if worker.running]
        silent: list[str] = self.lease_watch.update(living=living, gone=gone)
        return silent

    def _end(self) -> None:
        self.console.say("ending; once more to end at once")
        for child in self.children:
            child.ask_to_end()
        deadline = time.monotonic() + GRACE_SECONDS
        killed = False
        while any(child.running for child in self.children):
            if not killed and (self.signals > 1 or time.monotonic() > deadline):
                killed = True
                for child in self.children:
                    child.kill("asked again" if self.signals > 1 else f"not ended in {GRACE_SECONDS:.0f} s")
            for child in self.children:
                child.reap()
            time.sleep(TICK)
        self._report_workers()
        if not self.lease_watch.settle(5.0):
            self.console.say("the database did not take note of the workers' end; their leases will expire")
        self.console.say("ended")
        self.console.flush()
