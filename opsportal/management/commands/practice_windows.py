"""`manage.py practice_windows FOLDER`: the simulated Windows target of `./ops demo`, until SIGTERM."""

import contextlib
import logging
import signal
from argparse import ArgumentParser
from pathlib import Path
from types import FrameType

from django.core.management.base import BaseCommand, CommandError

from opsportal.demo.windows import read_windows
from opsportal.parent_death import end_with_parent
from opsportal.simulated_windows import SimulatedWindows

logger = logging.getLogger(__name__)


class Ended(BaseException):
    """Somebody asked for the end."""


class Command(BaseCommand):
    help = "Runs the simulated Windows target of `./ops demo`."
    requires_system_checks = []  # noqa: RUF012  as Django declares it

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--parent", type=int, help="End when this process, our parent, ends.")

    def handle(self, *, folder: Path, parent: int | None, **options: object) -> None:
        if parent is not None:
            end_with_parent(parent)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _end)
        target = SimulatedWindows(read_windows(folder).settings(folder))
        try:
            with contextlib.suppress(Ended), target:
                logger.info("the simulated Windows target listens on %s", target.endpoint)
                while True:
                    signal.pause()
        except OSError as error:
            raise CommandError(f"cannot listen on port {target.port}: {error.strerror}") from None


def _end(number: int, frame: FrameType | None) -> None:
    raise Ended
