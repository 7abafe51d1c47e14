"""Runs a command as a user who is nobody in particular, on files that may lie below root's own home.

In a mount namespace of its own, folders that only root may enter are replaced by empty ones that hold just
what the command needs; the machine itself does not change.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

USER_ID = 54321
ENTER = """
import json, os, subprocess, sys
order = json.loads(sys.argv[1])
def run(*words): subprocess.run(words, check=True)
run("mount", "--make-rprivate", "/")
run("mount", "-t", "tmpfs", "tmpfs", "/mnt")
for number, needed in enumerate(order["needed"]):
    os.mkdir(f"/mnt/{number}")
    run("mount", "--rbind", needed, f"/mnt/{number}")
for closed in order["closed"]:
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", closed)
for number, needed in enumerate(order["needed"]):
    os.makedirs(needed, exist_ok=True)
    run("mount", "--rbind", f"/mnt/{number}", needed)
run("umount", "-R", "-l", "/mnt")
os.setgroups([])
os.setgid(order["user"])
os.setuid(order["user"])
os.umask(0o022)
os.chdir("/")
os.execve(order["command"][0], order["command"], order["environment"])
"""


def run_as_ordinary_user(
    command: list[str], *, needed: list[Path], environment: Mapping[str, str], seconds: float
) -> subprocess.CompletedProcess[str]:
    """`needed` are folders that the command reads; they must be readable in themselves. Needs root."""
    order = {
        "command": command,
        "needed": [str(folder.resolve()) for folder in needed],
        "closed": sorted({str(closed) for folder in needed if (closed := _closed(folder.resolve()))}),
        "environment": dict(environment),
        "user": USER_ID,
    }
    return subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", ENTER, json.dumps(order)],
        capture_output=True,
        text=True,
        timeout=seconds,
    )


def _closed(folder: Path) -> Path | None:
    """The topmost folder above `folder` that others may not enter."""
    for above in reversed(folder.parents):
        if not above.stat().st_mode & 0o001:
            return above
    return None
