"""The faults of a round: which, where and when come from the seed alone; what they meet does not."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.acceptance.chaos.portal import Part, Portal
from tests.hosts.client import Hosts
from tests.hosts.processes import HostsError

PROCESS_FAULTS = {  # kind: (weight, clusters, roles)
    "kill worker": (10, ("execution", "execution", "control"), ("worker",)),
    "stop worker": (8, ("execution", "execution", "control"), ("worker",)),
    "kill main": (5, ("execution", "control"), ("main",)),
    "stop main": (4, ("execution", "control"), ("main",)),
    "kill sentinel": (4, ("execution", "control"), ("sentinel",)),
    "stop sentinel": (4, ("execution", "control"), ("sentinel",)),
    "kill pusher": (3, ("execution", "control"), ("pusher",)),
    "stop pusher": (3, ("execution", "control"), ("pusher",)),
    "kill monitor": (3, ("execution", "control"), ("monitor",)),
    "stop monitor": (3, ("execution", "control"), ("monitor",)),
    "kill cluster": (3, ("execution", "control"), ("all",)),
    "kill web": (3, ("web",), ("web",)),
    "stop web": (3, ("web",), ("web",)),
    "kill portal": (1, ("portal",), ("portal",)),
    # Its supervisor stands still as well, so that somebody else takes over and then it wakes up.
    "zombie worker": (5, ("execution",), ("worker",)),
}
HOST_FAULTS = {  # kind: (weight, seconds at least, seconds at most)
    "link-down": (6, 3, 20),
    "drop-out": (3, 3, 15),
    "refuse": (4, 0.5, 8),
    "sshd-kill": (6, 0, 0),
    "sshd-stop": (3, 2, 10),
    "freeze": (5, 5, 15),
    "freeze for long": (1, 48, 60),  # longer than a connection may be silent
    "link-down for long": (1, 48, 60),
    "crash": (5, 0.5, 6),
}
# Half of these wait for the moment in which an attempt is being sent, on that host where they are a host's.
AIMED = {"kill worker", "kill main", "kill cluster", "zombie worker", "crash", "link-down", "sshd-kill"}
AIM_SECONDS = 5.0
RESTART_SECONDS = 8.0
# Some are longer than the supervisor's patience of 15 s, so that some are killed and some wake up; a zombie
# sleeps longer than its lease of 20 s.
STANDING_STILL = {"stop": (0.5, 25.0), "zombie": (22.0, 32.0)}
ZOMBIE_SECONDS = 2.0  # of freedom before its supervisor looks


@dataclass(slots=True)
class Fault:
    """One fault: planned by the seed, then what became of it. Times are `time.time()`."""

    number: int
    pause: float
    kind: str
    subject: str
    seconds: float
    pick: float
    role: str = ""
    aimed: bool = False
    at: float = 0.0
    healed: float = 0.0
    note: str = ""

    @property
    def on_host(self) -> bool:
        return self.kind in HOST_FAULTS


def plan_faults(random: Random, count: int, targets: list[str]) -> list[Fault]:
    """The faults of a round, in order; `pause` is the time to the one before."""
    kinds = list(PROCESS_FAULTS) + list(HOST_FAULTS)
    weights = [PROCESS_FAULTS[kind][0] for kind in PROCESS_FAULTS]
    weights += [HOST_FAULTS[kind][0] for kind in HOST_FAULTS]
    planned = []
    for number in range(1, count + 1):
        kind = random.choices(kinds, weights)[0]
        pause, pick = random.uniform(0.3, 5.0), random.random()
        if kind in HOST_FAULTS:
            _, least, most = HOST_FAULTS[kind]
            fault = Fault(number, pause, kind, random.choice(targets), random.uniform(least, most), pick)
        else:
            _, clusters, roles = PROCESS_FAULTS[kind]
            seconds = random.uniform(*STANDING_STILL.get(kind.split()[0], (0.0, 0.0)))
            cluster, role = random.choice(clusters), random.choice(roles)
            fault = Fault(number, pause, kind, cluster, seconds, pick, role)
        fault.aimed = random.random() < 0.5 and kind in AIMED
        planned.append(fault)
    return planned


@dataclass(slots=True)
class Injector:
    """Puts the faults on, one after the other, and heals each in a thread of its own."""

    portal: Portal
    hosts: Hosts
    say: Callable[[str], None]
    busy: Callable[[], bool]
    sending: Callable[[str], bool]
    broke: list[str] = field(default_factory=list)
    _healing: list[threading.Thread] = field(default_factory=list)
    _sick: set[str] = field(default_factory=set)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def inject(self, faults: list[Fault]) -> None:
        """All of them; returns when the last one is healed."""
        for fault in faults:
            time.sleep(fault.pause)
            try:
                self._wait_for_work()
                if fault.aimed:
                    self._aim(fault)
                self._put_on(fault)
            except Exception as error:  # noqa: BLE001  the round must not end early and look well
                self.broke.append(f"fault {fault.number} {fault.kind}: {error}")
        for thread in self._healing:
            thread.join()

    def _wait_for_work(self) -> None:
        end = time.monotonic() + 4
        while not self.busy() and time.monotonic() < end:
            time.sleep(0.05)

    def _aim(self, fault: Fault) -> None:
        end = time.monotonic() + AIM_SECONDS
        while time.monotonic() < end:
            if self.sending(fault.subject if fault.on_host else ""):
                time.sleep(fault.pick * 0.1)
                return
            time.sleep(0.01)

    def _put_on(self, fault: Fault) -> None:
        if fault.on_host:
            self._on_host(fault)
        elif fault.kind == "kill portal":
            self._portal(fault)
        else:
            self._on_process(fault)
        self.say(f"{fault.number:3} {fault.kind} {fault.subject} {fault.role} {fault.note}".rstrip())

    def _on_host(self, fault: Fault) -> None:
        with self._changed:
            while fault.subject in self._sick:
                self._changed.wait()
            self._sick.add(fault.subject)
        fault.at = time.time()
        fault.note = f"{fault.seconds:.1f} s"

        def heal() -> None:
            try:
                time.sleep(fault.seconds)
                self.hosts.clear(fault.subject)
            except (HostsError, OSError) as error:
                self.broke.append(f"healing fault {fault.number} {fault.kind}: {error}")
            finally:
                fault.healed = time.time()
                with self._changed:
                    self._sick.discard(fault.subject)
                    self._changed.notify_all()

        try:
            self.hosts.fault(fault.subject, fault.kind.partition(" ")[0])
        finally:
            self._in_background(heal)

    def _portal(self, fault: Fault) -> None:
        fault.at = time.time()
        self.portal.kill()
        end = time.monotonic() + 5
        while (left := self.portal.left_behind()) and time.monotonic() < end:
            time.sleep(0.05)
        if left:
            self.broke.append(f"fault {fault.number}: {len(left)} processes outlive their supervisor")
        self.portal.start()
        fault.healed = time.time()

    def _on_process(self, fault: Fault) -> None:
        end = time.monotonic() + RESTART_SECONDS
        while not (pids := self._choose(fault)) and time.monotonic() < end:
            time.sleep(0.2)  # the fault before may have ended it
        if not pids:
            parts = self.portal.parts()
            pids = [parts[int(fault.pick * 1000) % len(parts)].pid]
            fault.subject, fault.role = "any", "process"
        fault.at = fault.healed = time.time()
        fault.note = f"pid {', '.join(map(str, pids))}"
        if not fault.seconds:
            _send(signal.SIGKILL, pids)
            return
        fault.note += f" for {fault.seconds:.1f} s"
        supervisor = self.portal.process if fault.kind == "zombie worker" else None
        if supervisor is not None:
            _send(signal.SIGSTOP, [supervisor.pid])
        _send(signal.SIGSTOP, pids)

        def wake() -> None:
            time.sleep(fault.seconds)
            _send(signal.SIGCONT, pids)
            if supervisor is not None:
                time.sleep(ZOMBIE_SECONDS)
                _send(signal.SIGCONT, [supervisor.pid])
            fault.healed = time.time()

        self._in_background(wake)

    def _choose(self, fault: Fault) -> list[int]:
        role = "main" if fault.role == "all" else fault.role
        parts = [p for p in self.portal.parts() if (p.cluster, p.role) == (fault.subject, role)]
        # A worker that carries a shard has threads; two of three times it is the one to meet.
        busy: list[Part] = [part for part in parts if part.threads > 1]
        parts = busy if busy and fault.pick < 0.67 else parts
        if not parts:
            return []
        chosen = parts[int(fault.pick * 1000) % len(parts)].pid
        return self.portal.session(chosen) if fault.role == "all" else [chosen]

    def _in_background(self, action: Callable[[], None]) -> None:
        thread = threading.Thread(target=action, daemon=True)
        thread.start()
        self._healing.append(thread)


def _send(number: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
