"""`manage.py workers`: the workers of one machine, where the web process is elsewhere or on its own."""

import os
import socket
from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from opsportal.console import Console
from opsportal.processes import only_workers
from opsportal.start_checks import require_keys, require_migrations


class Command(BaseCommand):
    help = "Runs and supervises workers until SIGTERM; any number of machines may, on one PostgreSQL."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--control", type=int, default=1, metavar="N", help="Control clusters.")
        parser.add_argument("--execution", type=int, default=1, metavar="N", help="Execution clusters.")

    def handle(self, *, control: int, execution: int, **options: object) -> None:
        if min(control, execution) < 0 or control + execution < 1:
            raise CommandError("--control and --execution: numbers, and at least one cluster.")
        if not settings.PARTS.workers:
            raise CommandError(
                f"OPSPORTAL_ROLE={settings.ROLE} has no workers: nothing is executed there. "
                "Run them with the automation service's settings."
            )
        os.umask(0o077)
        require_migrations()
        require_keys()
        connections.close_all()
        console = Console(settings.DATA_DIR / "logs")
        words = f"{control} control, {execution} execution, on {socket.gethostname()}"
        only_workers(console, control=control, execution=execution).run(words)
