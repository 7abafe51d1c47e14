"""One supervised process: its start, its end, its next start."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from opsportal.console import Console
from opsportal.process_groups import Member, kill_session, reap_orphans

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0  # a worker that is needed must not be away for long, however often it was killed
STEADY = 15.0  # seconds after which a process counts as well started


@dataclass
class Supervised:
    """A process in a session of its own, started again with growing pauses. Times are `time.monotonic()`.

    `generation` names one life of it; a worker's leases are held under that name.
    """

    name: str
    arguments: Sequence[str]
    environment: dict[str, str]
    console: Console
    generation: str = ""
    process: subprocess.Popen[bytes] | None = None
    start_at: float = 0.0
    started: float = 0.0
    pause: float = FIRST_PAUSE
    stopped_since: float | None = None
    ended: list[str] = field(default_factory=list)

    @property
    def running(self) -> bool:
        return self.process is not None

    def start(self) -> None:
        """Must be called in the main thread: the child ends with the thread that started it."""
        self.generation = uuid4().hex
        self.stopped_since = None
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [*self.arguments, "--parent", str(os.getpid())],
            env={**self.environment, "OPSPORTAL_WORKER_ID": self.generation},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if self.process.stdout is not None:
            self.console.follow(self.process.stdout, name=self.name)

    def ask_to_end(self) -> None:
        """SIGTERM to the main process only: the others must go on until it tells them."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def kill(self, reason: str) -> None:
        """Everything in its session, now; `reap` sees the end."""
        if self.process is None:
            return
        self.console.say(f"killing {self.name}: {reason}")
        kill_session(self.process.pid)

    def reap(self) -> bool:
        """Once the main process has ended, end the rest. True when nothing is left of this life."""
        if self.process is None or self.process.poll() is None:
            return False
        nothing_left = kill_session(self.process.pid)
        reap_orphans(self.process.pid)
        if not nothing_left:
            return False
        now = time.monotonic()
        if now - self.started > STEADY:
            self.pause = FIRST_PAUSE
        self.start_at = now + self.pause
        self.pause = min(self.pause * 2, LONGEST_PAUSE)
        self.console.say(f"{self.name} ended with status {self.process.returncode}")
        self.ended.append(self.generation)
        self.process = None
        return True

    def stopped_for(self, now: float, sessions: Mapping[int, Sequence[Member]]) -> float:
        """Seconds since one of its processes was first seen stopped (SIGSTOP); 0 when all may run."""
        members = sessions.get(self.process.pid, ()) if self.process else ()
        if not any(member.stopped for member in members):
            self.stopped_since = None
            return 0.0
        if self.stopped_since is None:
            self.stopped_since = now
        return now - self.stopped_since
