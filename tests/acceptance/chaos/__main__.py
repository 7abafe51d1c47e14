"""`python -m tests.acceptance.chaos [N] [--seed S]`: N faults against the real product on three real hosts.

Ends with 0 when nothing was lost, done twice, falsely green or stuck. Needs root, as the test hosts do.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import django

from opsportal.data_directory import prepare
from tests.acceptance.chaos.portal import Portal
from tests.hosts.client import Hosts
from tests.hosts.lifecycle import remove_orphans
from tests.hosts.place import DEFAULT_BASE, Place
from tests.hosts.prerequisites import missing
from tests.hosts.processes import Process


def main(argv: Sequence[str] | None = None) -> int:
    """Play one round; its data directory is kept when something was wrong."""
    parser = argparse.ArgumentParser(prog="./ops chaos", description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=50, help="of faults (default %(default)s)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="repeats a round's faults")
    parser.add_argument("--data", type=Path, help="an empty directory to work in, kept in any case")
    args = parser.parse_args(argv)
    if lacking := missing():
        sys.stderr.write("\n".join(lacking) + "\n")
        return 2
    data: Path = args.data or Path(tempfile.mkdtemp(prefix="opsportal-chaos-"))
    good = False
    try:
        good = play(args.count, args.seed, data)
    finally:
        if good and not args.data:
            shutil.rmtree(data)
        else:
            sys.stderr.write(f"database, logs and round.json are in {data}\n")
    return 0 if good else 1


def play(count: int, seed: int, data: Path) -> bool:
    """Bring everything up, play, and take everything down."""
    _use(data)
    # The settings read the keys that were just made, so nothing of Django could be imported before.
    from tests.acceptance.chaos.round import Round

    remove_orphans(DEFAULT_BASE, _say)
    hosts = Hosts(Place(f"c{os.getpid() % 100_000}"))
    portal = Portal(data)
    try:
        hosts.up("3", owner=Process.of(os.getpid()))
        portal.start()
        return Round(portal, hosts, seed, count).play()
    finally:
        portal.kill()
        hosts.down()


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")


def _use(data: Path) -> None:
    for name in ("DATABASE_URL", "OPSPORTAL_SECRET_KEY", "OPSPORTAL_ENCRYPTION_KEYS"):
        os.environ.pop(name, None)
    os.environ["OPSPORTAL_DATA"] = str(data)
    os.environ["DJANGO_SETTINGS_MODULE"] = "opsportal.settings"
    prepare(data, os.environ)
    django.setup()


if __name__ == "__main__":
    sys.exit(main())
