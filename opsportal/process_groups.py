"""What is left of a child's session, read from /proc."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

DEAD = frozenset("ZX")
STOPPED = frozenset("Tt")


@dataclass(frozen=True, slots=True)
class Member:
    """One living process of a session."""

    pid: int
    state: str

    @property
    def stopped(self) -> bool:
        return self.state in STOPPED


def living_members(session: int) -> list[Member]:
    """Processes of the session that have not ended."""
    members = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            content = (entry / "stat").read_text(encoding="ascii", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        # pid (name) state parent group session …; the name may hold spaces and brackets
        state, _parent, _group, its_session = content.rpartition(")")[2].split()[:4]
        if int(its_session) == session and state not in DEAD:
            members.append(Member(pid=int(entry.name), state=state))
    return members


def kill_session(session: int) -> bool:
    """Kill what lives in the session and reap what became our child; True when nothing is left.

    Call it again until it is True: the end of a killed process takes a moment.
    """
    members = living_members(session)
    for member in members:
        try:
            os.kill(member.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    _reap(session)
    return not members


def _reap(group: int) -> None:
    while True:
        try:
            pid, _status = os.waitpid(-group, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
