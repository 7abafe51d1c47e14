"""Workers that die or fall asleep in the middle of a step, and others that take their place."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest
from django_q.models import OrmQ

from automation import tasks
from automation.models import Attempt, JobRun, Shard
from tests.acceptance.envelope.portal import Portal, until

COUNTING = """
    name: counting
    steps:
      - name: count
        become: true
        timeout: 60
        run:
          bash: |
            : PADDING
            echo "$OPSPORTAL_ATTEMPT" >> /var/tmp/begun
            for n in $(seq 60); do echo "line $n"; sleep 0.05; done
            echo "n=60" >> "$OPSPORTAL_OUTPUT"
            echo "$OPSPORTAL_ATTEMPT" >> /var/tmp/effects
"""
LINES = "".join(f"line {number}\n" for number in range(1, 61)).encode()
StartWorker = Callable[[str], tuple[JobRun, Shard, "subprocess.Popen[bytes]"]]


@pytest.fixture
def start_worker(portal: Portal) -> Iterator[StartWorker]:
    """Submits a workflow and has a worker process of its own carry its only shard."""
    started: list[subprocess.Popen[bytes]] = []

    def start(workflow: str) -> tuple[JobRun, Shard, subprocess.Popen[bytes]]:
        run = portal.submit(workflow)
        OrmQ.objects.all().delete()
        tasks.advance(run.pk)
        OrmQ.objects.all().delete()  # the task is this process's now
        shard = Shard.objects.get(run=run)
        process = portal.worker_process(shard)
        started.append(process)
        return run, shard, process

    yield start
    for process in started:
        process.kill()
        process.wait()


def take_over(portal: Portal, run: JobRun, shard: Shard) -> None:
    """What a supervisor does when it has reaped a worker: end its leases, and another carries on."""
    assert Shard.objects.end_leases("the-other-worker") == 1
    tasks.run_shard(shard.pk)
    portal.work()
    portal.finish(run)


def assert_ran_once(portal: Portal, run: JobRun, host: str) -> None:
    assert portal.outcome(run) == ("succeeded", ""), portal.result(run).message
    assert portal.result(run).outputs == {"n": "60"}
    assert portal.output(run) == LINES
    assert len(portal.lines(host, "/var/tmp/begun")) == len(portal.lines(host, "/var/tmp/effects")) == 1
    assert not portal.locked(run)


def test_after_sigkill_of_its_worker_another_reads_the_step_on(
    portal: Portal, host: str, start_worker: StartWorker
) -> None:
    run, shard, worker = start_worker(COUNTING)
    until(lambda: Attempt.objects.filter(result__run=run, stdout_stored__gt=0).exists(), "output is stored")
    worker.kill()
    worker.wait()
    take_over(portal, run, shard)
    assert_ran_once(portal, run, host)
    assert portal.attempts(run) == [("run", "ended")]


def test_a_worker_that_sleeps_in_mid_upload_is_fenced_and_starts_nothing_when_it_wakes(
    portal: Portal, host: str, start_worker: StartWorker
) -> None:
    portal.hosts.fault(host, "delay", 100)  # so that an upload lasts
    run, shard, worker = start_worker(COUNTING.replace("PADDING", "x" * 900_000))
    until(lambda: Attempt.objects.filter(result__run=run, state="dispatching").exists(), "it sends")
    worker.send_signal(signal.SIGSTOP)
    portal.hosts.clear(host)
    assert portal.lines(host, "/var/tmp/begun") == []
    take_over(portal, run, shard)
    worker.send_signal(signal.SIGCONT)
    assert worker.wait(60) == 0
    run.refresh_from_db()
    assert portal.attempts(run) == [("run", "fenced"), ("run", "ended")]
    assert_ran_once(portal, run, host)


def test_a_worker_that_wakes_after_its_lease_stores_nothing(
    portal: Portal, host: str, start_worker: StartWorker
) -> None:
    run, shard, worker = start_worker(COUNTING)
    until(lambda: Attempt.objects.filter(result__run=run, stdout_stored__gt=0).exists(), "output is stored")
    worker.send_signal(signal.SIGSTOP)
    take_over(portal, run, shard)
    events = run.last_seq
    worker.send_signal(signal.SIGCONT)
    assert worker.wait(60) == 0
    run.refresh_from_db()
    assert run.last_seq == events
    assert_ran_once(portal, run, host)


def test_a_crashed_host_and_a_killed_worker_together_do_not_run_it_twice(
    portal: Portal, host: str, start_worker: StartWorker
) -> None:
    run, shard, worker = start_worker(COUNTING)
    until(lambda: Attempt.objects.filter(result__run=run, stdout_stored__gt=0).exists(), "output is stored")
    worker.kill()
    worker.wait()
    portal.hosts.fault(host, "crash")
    portal.hosts.clear(host)
    take_over(portal, run, shard)
    assert portal.outcome(run) == ("failed", "target.rebooted")
    assert len(portal.lines(host, "/var/tmp/begun")) == 1
    assert portal.lines(host, "/var/tmp/effects") == []
