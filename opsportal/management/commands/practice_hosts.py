"""`manage.py practice_hosts FOLDER`: the practice hosts of `./ops demo`, until SIGTERM."""

import asyncio
import contextlib
import logging
import signal
from argparse import ArgumentParser
from pathlib import Path

import asyncssh
from django.core.management.base import BaseCommand, CommandError

from opsportal.demo.hosts import read_hosts
from opsportal.demo.sandbox import NoSandbox
from opsportal.demo.server import RunningHost
from opsportal.parent_death import end_with_parent


class Command(BaseCommand):
    help = "Runs the practice hosts of `./ops demo`."
    requires_system_checks = []  # noqa: RUF012  as Django declares it

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--parent", type=int, help="End when this process, our parent, ends.")

    def handle(self, *, folder: Path, parent: int | None, **options: object) -> None:
        if parent is not None:
            end_with_parent(parent)
        asyncssh.set_log_level(logging.WARNING)  # else a dozen lines a command
        try:
            asyncio.run(_serve(folder))
        except* NoSandbox as group:
            raise CommandError(f"nothing was run: {group.exceptions[0]}") from None


async def _serve(folder: Path) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(RunningHost(host, folder).serve()) for host in read_hosts(folder)]

        def end() -> None:
            for task in tasks:
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
