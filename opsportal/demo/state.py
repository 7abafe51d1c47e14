"""The demo's own state: a folder that is emptied at each start, and nothing of the installation beside it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import MutableMapping
from pathlib import Path

from opsportal.env_readers import SettingError

MARK = ".opsportal-demo"
LOCK = "up.lock"  # the one of `up`, so that neither runs on the other's state
KEPT_SETTINGS = frozenset({"OPSPORTAL_PORT", "OPSPORTAL_VENV", "OPSPORTAL_LOG_LEVEL"})


def fresh_state(directory: Path, environment: MutableMapping[str, str]) -> None:
    """Empty the folder, hold it until this process ends, and let the environment name it and nothing else.

    Raises SettingError, having touched nothing, when another demo lives there or when it is not a demo's.
    """
    directory = directory.absolute()
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise SettingError(f"{directory} is not a folder, so it cannot hold the demo's state.")
    if directory.is_dir() and any(directory.iterdir()) and not (directory / MARK).exists():
        raise SettingError(f"{directory} holds something other than a demo; a demo would wipe it.")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / MARK).touch()
    descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SettingError(
            f"Another demo already runs on {directory}: end it first (Ctrl-C there)."
        ) from None
    _empty(directory)
    _forget_installation(environment)
    environment["OPSPORTAL_DATA"] = str(directory)


def _empty(directory: Path) -> None:
    for entry in directory.iterdir():
        if entry.name in (MARK, LOCK):
            continue
        if entry.is_dir() and not entry.is_symlink():
            _open_up(entry)
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _open_up(folder: Path) -> None:
    """Somebody in a practice host may have taken the rights from a folder: take them back."""
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        current.chmod(0o700)
        with os.scandir(current) as entries:
            waiting += [Path(entry) for entry in entries if entry.is_dir(follow_symlinks=False)]


def _forget_installation(environment: MutableMapping[str, str]) -> None:
    """Keys, database and policy of an installation on this machine are no business of a demo's."""
    for name in tuple(environment):
        ours = name.startswith("OPSPORTAL_") and name not in KEPT_SETTINGS
        if ours or name in ("DATABASE_URL", "DATABASE_URL_FILE"):
            del environment[name]
