"""The product's whole path in one process: submission, queue, workers in threads, real SSH to real hosts.

What stands in for the worker command is the loop that takes tasks from the queue; all else is the product.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django_q.models import OrmQ

from automation import decide, tasks
from automation.definitions.query import parse
from automation.definitions.schema import load_workflow
from automation.models import Attempt, HostKey, JobRun, OutputChunk, Shard, StepResult, Target, TargetLock
from automation.submit import Submission, submit
from automation.workers.task_packages import unpack
from credentials.models import Credential
from credentials.secret import Secret
from tests.database import database_url
from tests.hosts.client import Hosts

Answer = TypeVar("Answer")
PATIENCE = 60.0


def until(condition: Callable[[], Answer], what: str, seconds: float = PATIENCE) -> Answer:
    """The first true answer; fails the test when none comes in time."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
    return answer


class Portal:
    """Targets that are real hosts, one person who may run things on them, and workers."""

    def __init__(self, hosts: Hosts, person: User) -> None:
        self.hosts, self.person = hosts, person
        self.broken: list[BaseException] = []
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def add_target(self, name: str, *, login: str = "ops") -> Target:
        """The host of that name, its key trusted."""
        credential = Credential.objects.filter(name=login).first()
        if credential is None:
            credential = Credential(name=login, kind="private_key", username=login)
            credential.set_secrets(private_key=Secret(self.hosts.private_key.read_text()))
        target = Target.objects.create(name=name, address=self.hosts.address(name), credential=credential)
        key_type, key = self.hosts.host_key(name).split()
        HostKey.objects.saw(target, key_type, key, HostKey.State.PENDING).trust(by=self.person)
        return target

    def target(self, name: str) -> Target:
        return Target.objects.get(name=name)

    # runs

    def submit(self, workflow: str, *, targets: str = "os:linux", **wanted: Any) -> JobRun:
        definition = load_workflow(textwrap.dedent(workflow))
        return submit(Submission(workflow=definition, query=parse(targets), submitter=self.person, **wanted))

    def begin(self, workflow: str, **wanted: Any) -> JobRun:
        """Submit, with workers at work."""
        run = self.submit(workflow, **wanted)
        self.work()
        return run

    def run(self, workflow: str, *, seconds: float = PATIENCE, **wanted: Any) -> JobRun:
        """Submit, and wait for the run's end."""
        return self.finish(self.begin(workflow, **wanted), seconds)

    def finish(self, run: JobRun, seconds: float = PATIENCE) -> JobRun:
        """Wait for the run's end; no worker may have failed on the way."""

        def ended() -> bool:
            run.refresh_from_db()
            return run.is_final or bool(self.broken)

        until(ended, f"run {run.pk} ends", seconds)
        assert not self.broken, self.broken
        return run

    def cancel(self, run: JobRun) -> None:
        decide.cancel(run.pk, by=self.person)

    # workers

    def work(self) -> None:
        """Take tasks from the queue until the test is over, each in a thread of its own."""
        if not self._threads:
            self._start(self._serve_queue)

    def _serve_queue(self) -> None:
        while not self._stopping.is_set():
            row = OrmQ.objects.order_by("pk").first()
            if row is None:
                time.sleep(0.02)
                continue
            row.delete()
            package = unpack(row.payload)
            task = getattr(tasks, package["func"].rsplit(".", 1)[1])
            self._start(partial(task, package["args"][0]))

    def _start(self, job: Callable[[], None]) -> None:
        def work() -> None:
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - reported by the test that waits
                self.broken.append(error)
            finally:
                connection.close()

        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """Let the workers go; one that still carries a shard loses its lease and ends by itself."""
        self._stopping.set()
        Shard.objects.update(lease_token=F("lease_token") + 1)
        for thread in self._threads:
            thread.join(15)
        assert not any(thread.is_alive() for thread in self._threads), "a worker does not end"

    def worker_process(self, shard: Shard) -> subprocess.Popen[bytes]:
        """Another process of the product that carries this shard, under a worker id of its own."""
        script = f"import django; django.setup(); from automation import tasks; tasks.run_shard({shard.pk})"
        more = {
            "DJANGO_SETTINGS_MODULE": "opsportal.settings",
            "DATABASE_URL": database_url(),
            "OPSPORTAL_WORKER_ID": "the-other-worker",
        }
        return subprocess.Popen(
            [sys.executable, "-c", script], env={**os.environ, **more}, cwd=settings.BASE_DIR
        )

    # what a user sees

    def result(self, run: JobRun, step: str = "", target: str = "") -> StepResult:
        """The run's only result, or that of one step and target."""
        wanted = StepResult.objects.filter(run=run)
        wanted = wanted.filter(step=step) if step else wanted
        return (wanted.filter(run_target__name=target) if target else wanted).get()

    def outcome(self, run: JobRun, step: str = "", target: str = "") -> tuple[str, str]:
        """State and code."""
        result = self.result(run, step, target)
        return str(result.state), result.code

    def attempts(self, run: JobRun) -> list[tuple[str, str]]:
        """Body and state of every try, in order."""
        tried = Attempt.objects.filter(result__run=run).order_by("result__step_index", "intent_at", "number")
        return [(str(attempt.body), str(attempt.state)) for attempt in tried]

    def output(self, run: JobRun, stream: str = "stdout", *, step: str = "", target: str = "") -> bytes:
        """What is stored of one stream; fails on a gap, a repeat, or two tries that both wrote."""
        chunks = OutputChunk.objects.filter(attempt__result=self.result(run, step, target), stream=stream)
        stored = b""
        for chunk in chunks.order_by("attempt", "offset"):
            assert chunk.offset == len(stored), "a gap or a repeat in the stored output"
            stored += bytes(chunk.data)
        return stored

    def notes(self, run: JobRun) -> list[str]:
        """The codes of the notes in the run's story."""
        return [event.data["code"] for event in run.events.all() if event.data["kind"] == "note"]

    def locked(self, run: JobRun) -> bool:
        return TargetLock.objects.filter(run=run).exists()

    # what is true on the host

    def lines(self, name: str, path: str) -> list[str]:
        """A file's lines; none where there is no file."""
        return self.hosts.raw(name, "cat", path).stdout.splitlines()

    def exists(self, name: str, path: str) -> bool:
        return self.hosts.raw(name, "test", "-e", path).returncode == 0

    def appears(self, name: str, path: str) -> None:
        until(lambda: self.exists(name, path), f"{path} on {name}")

    def processes(self, name: str, pattern: str) -> list[str]:
        """Command lines on the host that match."""
        found = self.hosts.raw(name, "pgrep", "-a", "-f", pattern).stdout.splitlines()
        return [line for line in found if "pgrep" not in line]
