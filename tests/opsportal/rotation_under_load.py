"""A program: rotates keys on a real database, is killed again and again, while others read and write.

`python -m tests.opsportal.rotation_under_load KILLS` in an environment that names a data directory. Prints a
JSON line; any secret that could not be read, or edit that was lost, ends it with an error.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import django
from cryptography.fernet import Fernet
from django.conf import settings

django.setup()

from django.core.management import call_command  # noqa: E402  after the set-up
from django.db import connections  # noqa: E402

from credentials.keys import configured_keys  # noqa: E402
from credentials.models import Credential  # noqa: E402
from credentials.rotation import key_use, rotate_keys  # noqa: E402
from credentials.secret import Secret  # noqa: E402
from opsportal.encryption_keys import key_file  # noqa: E402

MANY = 120


def forked(work: Callable[[], None]) -> int:
    """A process of its own that ends with 0 only if the work raised nothing."""
    connections.close_all()
    if pid := os.fork():
        return pid
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def count_in(credential: Credential) -> int:
    password = credential.secrets().password
    assert password is not None
    name, _, count = password.reveal().rpartition(" ")
    assert name == credential.name
    return int(count)


def read(stop: Path, told: Path) -> None:
    """Every secret is readable at any moment, and no count ever goes back."""
    seen: dict[int, int] = {}
    readings = 0
    while not stop.exists():
        for credential in Credential.objects.all():
            count = count_in(credential)
            assert count >= seen.get(credential.pk, 0), f"{credential.name} lost an edit"
            seen[credential.pk] = count
            readings += 1
    told.write_text(str(readings))


def write(stop: Path, told: Path) -> None:
    """Edits that were confirmed, by name."""
    counts: dict[str, int] = {}
    chance = random.Random(2)
    while not stop.exists():
        name = f"login {chance.randrange(MANY)}"
        credential = Credential.objects.get(name=name)
        counts[name] = count_in(credential) + 1
        credential.set_secrets(password=Secret(f"{name} {counts[name]}"))
        time.sleep(0.002)
    told.write_text(json.dumps(counts))


def rotate(*, die_at: int = 0) -> None:
    """Rotate; at this row, from 1, the process is killed."""

    def progress(done: int, total: int) -> None:
        if done == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    rotate_keys(progress)


def rotate_and_be_killed(kills: int) -> tuple[int, int]:
    """How many keys were made, and how many of the rotations were killed before their end."""
    file = key_file(os.environ, settings.DATA_DIR)
    assert file is not None
    chance = random.Random(1)
    made = cut = 0
    for number in range(kills):
        use = key_use()
        if not use.outdated:
            file.write([Fernet.generate_key().decode(), configured_keys()[0]])
            made += 1
        if number % 2:
            # Between two rows, so that rotations get on, however busy the machine is.
            pid = forked(partial(rotate, die_at=chance.randrange(1, MANY // 2)))
        else:
            pid = forked(rotate)
            time.sleep(chance.uniform(0.001, 0.08))
            os.kill(pid, signal.SIGKILL)
        cut += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    return made, cut


def main(kills: int) -> None:
    call_command("migrate", interactive=False, verbosity=0)
    for number in range(MANY):
        credential = Credential(name=f"login {number}", kind="password", username="ann")
        credential.set_secrets(password=Secret(f"login {number} 0"))
    stop, readings, edits = (settings.DATA_DIR / name for name in ("stop", "readings", "edits"))
    others = [forked(lambda: read(stop, readings)), forked(lambda: write(stop, edits))]
    made, cut = rotate_and_be_killed(kills)
    rotate_keys()
    stop.touch()
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in others]
    assert statuses == [0, 0], "a reader or a writer failed"
    confirmed = json.loads(edits.read_text())
    stored = {credential.name: count_in(credential) for credential in Credential.objects.all()}
    assert {name: stored[name] for name in confirmed} == confirmed, "a confirmed edit is gone"
    rotate_keys()
    use = key_use()
    figures = {
        "keys": made,
        "cut": cut,
        "readings": int(readings.read_text()),
        "edits": sum(confirmed.values()),
        "outdated": use.outdated,
        "unreadable": use.unreadable,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
