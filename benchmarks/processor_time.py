"""CPU seconds of processes, told apart: ours, the peers', the targets'."""

from __future__ import annotations

import ctypes
import os
import resource
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Processes that a peer leaves behind become our children, so that their CPU can be counted."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def of_trees(roots: Iterable[int]) -> float:
    """CPU seconds of these processes, all below them that live, and all that those have waited for."""
    return sum(ticks for _, ticks in _tree(roots)) / TICKS


def trees(roots: Iterable[int]) -> list[int]:
    """The pids of these processes and of all below them that live."""
    return [pid for pid, _ in _tree(roots)]


def _tree(roots: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Pid and clock ticks of each."""
    children: dict[int, list[int]] = defaultdict(list)
    spent: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children[int(fields[1])].append(int(entry.name))
            spent[int(entry.name)] = sum(map(int, fields[11:15]))
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        yield pid, spent.get(pid, 0)
        waiting += children.get(pid, [])


def of_ended_children() -> float:
    """CPU seconds of all children that have ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def reap(known: set[int]) -> None:
    """Wait for adopted children that have ended; those in `known` have somebody else who waits for them."""
    for pid in children_of(os.getpid()) - known:
        os.waitpid(pid, os.WNOHANG)


def children_of(parent: int) -> set[int]:
    """The pids of all children of a process, ended ones that nobody has waited for included."""
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return {pid for pid in numbers if (fields := _stat(pid)) and int(fields[1]) == parent}


def _stat(pid: int) -> list[str]:
    """The fields after the name: state, parent, …; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
