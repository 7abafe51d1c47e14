"""What lives in the sessions of our children, read from /proc."""

import os
import signal
from collections import defaultdict
from collections.abc import Mapping, Sequence
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


def living_sessions() -> Mapping[int, Sequence[Member]]:
    """Every session of this machine with its processes that have not ended."""
    sessions: defaultdict[int, list[Member]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            content = (entry / "stat").read_text(encoding="ascii", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        # pid (name) state parent group session …; the name may hold spaces and brackets
        state, _parent, _group, session = content.rpartition(")")[2].split()[:4]
        if state not in DEAD:
            sessions[int(session)].append(Member(pid=int(entry.name), state=state))
    return sessions


def kill_session(session: int) -> bool:
    """Kill what lives in the session; True when nothing did.

    Call it again until it is True: the end of a killed process takes a moment.
    """
    members = living_sessions().get(session, ())
    for member in members:
        try:
            os.kill(member.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return not members


def reap_orphans(group: int) -> None:
    """Collect the ended processes of the group that have become our children."""
    while True:
        try:
            pid, _status = os.waitpid(-group, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
