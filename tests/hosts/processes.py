"""Starting programs, writing files, and ending only what is ours."""

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

Completed = subprocess.CompletedProcess[str]


class HostsError(Exception):
    """Something about the test hosts went wrong; the message says what, and what to type next."""


def run(
    *argv: object,
    check: bool = True,
    stdin: str | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
) -> Completed:
    """Run a program to its end; stdout and stderr come back together in `stdout`."""
    words = [str(word) for word in argv]
    done = subprocess.run(
        words,
        check=False,
        input=stdin,
        text=True,
        errors="replace",
        cwd=cwd,
        timeout=timeout,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL if stdin is None else None,
    )
    if check and done.returncode:
        raise HostsError(f"{shlex.join(words)}: exit {done.returncode}\n{done.stdout[-2000:]}")
    return done


def output_of(*argv: object) -> str:
    """What a program prints, without the white space around it."""
    return run(*argv).stdout.strip()


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file with its mode, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _stat_fields(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None


def _gone(pid: int) -> bool:
    fields = _stat_fields(pid)
    return fields is None or fields[0] == "Z"


@dataclass(frozen=True, slots=True)
class Process:
    """A process by pid and start time, so that a re-used pid is never taken for ours."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Self:
        fields = _stat_fields(pid)
        return cls(pid, fields[19] if fields else "")

    @classmethod
    def from_json(cls, data: Mapping[str, object] | None) -> Self | None:
        return cls(int(str(data["pid"])), str(data["started"])) if data else None

    @property
    def alive(self) -> bool:
        fields = _stat_fields(self.pid)
        return fields is not None and fields[19] == self.started and fields[0] != "Z"

    def kill(self, seconds: float = 10) -> None:
        """End it and wait until it has ended; nothing happens when it is gone already."""
        if not self.alive:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        end = time.monotonic() + seconds
        while self.alive and time.monotonic() < end:
            time.sleep(0.005)


def start_detached(argv: Sequence[object], log: Path) -> Process:
    """Start a process that outlives this one, in a session of its own; its output goes to the log."""
    start = 'cd /; log=$1; shift; setsid "$@" </dev/null >>"$log" 2>&1 & echo $!'
    pid = int(run("sh", "-c", start, "start", log, *argv).stdout)
    return Process.of(pid)


def in_namespace(kind: str, inode: int) -> Iterator[int]:
    """The living processes of one namespace (`net`, `pid`, …)."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if (entry / "ns" / kind).stat().st_ino == inode and not _gone(int(entry.name)):
                yield int(entry.name)
