"""Execution of one shard: the loop of the thread that writes.

Each tick is one transaction: renew the lease, take in what the I/O threads report, decide what is next for
each target, store it all. Only after the commit are new jobs handed out, so every intent is durable before a
byte is sent. Whatever goes wrong here, the process lets go of everything: the rows say where to go on, and
the targets hold the work.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import QuerySet

from automation.definitions.schema import Workflow
from automation.libraries.connection_manager import ConnectionManager
from automation.models import (
    Attempt,
    Installation,
    JobRun,
    RunSecret,
    RunTarget,
    Shard,
    Spool,
    StepResult,
)
from automation.workers import quarantine
from automation.workers.clock import lease_clock
from automation.workers.draining import draining
from automation.workers.endings import Endings
from automation.workers.inbox import Crew, Inbox
from automation.workers.leases import execution_waits
from automation.workers.local_files import LocalFiles
from automation.workers.logins import Logins
from automation.workers.queue import enqueue
from automation.workers.recorder import Recorder
from automation.workers.reports import Reports
from automation.workers.sequence import Sequence
from automation.workers.steering import Steering
from automation.workers.supplies import Supplies
from automation.workers.wire import Wire
from automation.workers.work import FORGET_AT_ONCE, Work, load_work
from credentials.secret import Secret

log = logging.getLogger(__name__)

SLICE_SECONDS = 1200.0
LINGER_SECONDS = 0.015
# With many targets under way others report in a moment too, and each transaction has its price.
LINGER_IN_A_CROWD_SECONDS = 0.04
CROWD = 10
IDLE_SECONDS = 0.4
RENEW_SECONDS = 4.0
YIELD_SECONDS = 3.0
AWAY_SECONDS = 1.0


class LeaseLost(Exception):
    """Somebody else carries this shard now; store nothing and start nothing."""


def run_shard(shard_id: int, *, owner: str) -> None:
    """Carry the shard until its targets are done, its time slice is over, or the lease is lost."""
    clock, now = lease_clock()
    shard = Shard.objects.claim(shard_id, owner=owner, clock=clock, now=now, lease=Shard.LEASE_SECONDS)
    if shard is None:
        return
    try:
        while not _carried(shard):
            _wait_for_database(shard)
    except LeaseLost:
        log.warning("lease lost", extra={"shard": shard.pk, "run": shard.run_id})
    except Exception:
        quarantine.broke(shard)
        raise


def _carried(shard: Shard) -> bool:
    """False when the database went away: its fault, not the shard's. All begins again from the rows then."""
    try:
        _carry(shard)
    except (OperationalError, InterfaceError) as error:
        log.warning("a shard waits for the database: %s", error, extra={"shard": shard.pk})
        return False
    return True


def _wait_for_database(shard: Shard) -> None:
    """Until the shard is held again. Raises LeaseLost when somebody else took it, and what the database does
    once this worker must end.

    A lapsed lease is renewed all the same: by its token the row says that nobody else has had it.
    """
    while True:
        connection.close()
        time.sleep(AWAY_SECONDS)
        try:
            clock, now = lease_clock()
            if clock != shard.lease_clock or not shard.renew(now=now):
                raise LeaseLost
            return
        except (OperationalError, InterfaceError):
            if draining():
                raise


def _carry(shard: Shard) -> None:
    execution = Execution(shard)
    try:
        execution.carry()
    finally:
        execution.let_go()


class Execution:
    """One process's hold on one shard."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._lease_until = 0.0  # on this machine's own clock; the first tick renews
        self._renewed_at = 0.0
        self._ends_at = time.monotonic() + SLICE_SECONDS
        self._inbox = Inbox()
        self._crew = Crew(shard.run.max_parallel)
        self._manager = ConnectionManager()
        self._recorder = Recorder()
        self._works: dict[int, Work] = {w.position: w for w in load_shard(shard)}
        header = json.loads(shard.run.header)
        rollout = header["rollout"]
        endings = Endings(
            self._recorder,
            canary=shard.batch == 0 and bool(rollout["canary"]),
            pauses=rollout["on_failure"] == "pause",
        )
        wire = Wire(self._crew, self._inbox, self._manager, may_send=self._may_send)
        self._reports = Reports(self._recorder, endings)
        self._files = LocalFiles(header.get("files", {}), header.get("downloads", {}))
        logins = Logins(also=_secrets_of(self._works.values()))
        supplies = Supplies(logins, self._files, Installation.identity())
        self._steering = Steering(self._recorder, endings, wire, supplies=supplies)
        self._seen_flags: tuple[Any, ...] = ()
        self._moved_at = time.monotonic()

    def carry(self) -> None:
        messages: list[Any] = []
        self._steering.look_up(list(self._works.values()))
        while True:
            if messages or self._due():
                self._tick(messages)
            if self._finished():
                return
            if self._steering.resting and not self._under_way() and self._rest():
                return
            if draining() or time.monotonic() > self._ends_at or self._in_the_way():
                self._hand_over()
                return
            messages = self._inbox.take(timeout=IDLE_SECONDS, linger=self._linger())

    def _linger(self) -> float:
        busy = sum(work.busy for work in self._works.values())
        return LINGER_IN_A_CROWD_SECONDS if busy > CROWD else LINGER_SECONDS

    def let_go(self) -> None:
        """Leave the targets to their work. Closing goes on in the background: a dead peer makes it slow."""
        self._lease_until = 0.0
        self._inbox.close()
        self._crew.close()
        self._files.close()
        threading.Thread(target=self._manager.close, daemon=True, name="close-connections").start()

    def _tick(self, messages: list[Any]) -> None:
        with transaction.atomic():
            run = JobRun.objects.locked(self._shard.run_id)
            self._renew()
            for message in messages:
                self._reports.take_in(run, self._works[message.position], message)
            self._steering.move_on(run, list(self._works.values()))
            self._recorder.store(run)
            if all(work.done for work in self._works.values()):
                self._shard.finish()
                enqueue("control", "advance", run.pk)
                run.wake(after=5)
        for job in self._steering.take_jobs():
            job()

    def _due(self) -> bool:
        """Whether a tick is worth its transaction though nobody reported anything."""
        now = time.monotonic()
        if now - self._renewed_at > RENEW_SECONDS:
            return True
        works = self._works.values()
        if any(not work.waits and (work.attempt or work.changing or work.tries_again) for work in works):
            return True
        if self._steering.waiting:
            return True
        flags = (
            JobRun.objects.filter(pk=self._shard.run_id)
            .values_list("status", "cancel_requested", "stop_code", "in_flight", "bad")
            .get()
        )
        changed = flags != self._seen_flags
        self._seen_flags = flags
        return changed

    def _renew(self) -> None:
        # Ours ends before the row's: it begins before the question, however long the answer takes.
        lease_until = time.clock_gettime(time.CLOCK_BOOTTIME) + Shard.LEASE_SECONDS
        clock, now = lease_clock()
        if clock != self._shard.lease_clock or not self._shard.renew(now=now):
            raise LeaseLost
        self._lease_until = lease_until
        self._renewed_at = time.monotonic()

    def _may_send(self) -> bool:
        # Asked in I/O threads; counts sleep and stops, as the lease does.
        return time.clock_gettime(time.CLOCK_BOOTTIME) < self._lease_until

    def _in_the_way(self) -> bool:
        """All our targets wait for other runs, and those may need this very worker to get on."""
        now = time.monotonic()
        if self._under_way():
            self._moved_at = now
        return self._steering.waiting and now - self._moved_at > YIELD_SECONDS and execution_waits()

    def _under_way(self) -> bool:
        works = self._works.values()
        return any(not work.done and (work.busy or work.attempt or work.changing) for work in works)

    def _rest(self) -> bool:
        """Let go of a paused run; whoever resumes it wakes its shards. False when it goes on already."""
        with transaction.atomic():
            run = JobRun.objects.locked(self._shard.run_id)
            self._renew()
            if not run.is_resting:
                return False
            self._shard.hand_over()
        return True

    def _finished(self) -> bool:
        return all(work.done for work in self._works.values())

    def _hand_over(self) -> None:
        """A new task goes on with this shard; running bodies are re-attached there."""
        with transaction.atomic():
            run = JobRun.objects.locked(self._shard.run_id)
            self._renew()
            for work in self._works.values():
                self._recorder.flush_output(work, last=True, cut=True)
            self._recorder.store(run)
            self._shard.hand_over()
            enqueue("execution", "run_shard", self._shard.pk)


def _secrets_of(works: Iterable[Work]) -> list[Secret]:
    """The secret parameters, which are the same for all targets of a run."""
    first = next(iter(works), None)
    return list(first.secrets.values.values()) if first is not None else []


def load_shard(shard: Shard) -> list[Work]:
    """Everything the shard's open targets need, in a fixed number of queries."""
    works = load_works(shard.run, RunTarget.objects.filter(shard=shard))
    _add_forgettable(works)
    return works


def _add_forgettable(works: list[Work]) -> None:
    """What their targets still keep of attempts that were over long ago."""
    old: dict[int, list[Attempt]] = defaultdict(list)
    found = Attempt.objects.to_forget([work.leaf["target"] for work in works])
    found = found.select_related("result__run_target")
    for attempt in found[: FORGET_AT_ONCE * len(works)]:
        old[attempt.result.run_target.target_id or 0].append(attempt)
    for work in works:
        work.forgettable = old.get(work.leaf["target"], [])


def load_works(run: JobRun, targets: QuerySet[RunTarget]) -> list[Work]:
    """These targets of the run with all that their rows say, in a fixed number of queries."""
    header = json.loads(run.header)
    workflow = Workflow.from_canonical(header["workflow"])
    undo = header["rollout"]["on_failure"] == "undo"
    secrets = RunSecret.objects.open(run, header.get("secrets", {}))
    rows = list(targets.order_by("position"))
    results: dict[int, list[StepResult]] = defaultdict(list)
    for result in StepResult.objects.filter(run_target__in=targets):
        results[result.run_target_id].append(result)
    attempts: dict[int, list[Attempt]] = defaultdict(list)
    tried = Attempt.objects.filter(result__run_target__in=targets).select_related("result").order_by("number")
    for attempt in tried:
        attempts[attempt.result.run_target_id].append(attempt)
    spools: dict[int, dict[bool, Spool]] = defaultdict(dict)
    for spool in Spool.objects.filter(target__in=[row.target_id for row in rows if row.target_id]):
        spools[spool.target_id][spool.become] = spool
    works = []
    for row in rows:
        platform = json.loads(row.leaf)["platform"]
        sequence = Sequence(workflow, platform=platform, dry_run=header["dry_run"], undo=undo)
        work = load_work(row, sequence, results[row.pk], attempts[row.pk])
        work.spools = spools.get(row.target_id or 0, {})
        work.parameters, work.secrets = header["parameters"], secrets
        works.append(work)
    return works
