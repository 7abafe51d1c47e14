"""`manage.py up`: everything on one machine."""

import fcntl
import os
import secrets
from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.utils.module_loading import import_string

from opsportal.console import Console
from opsportal.processes import check_port, public_address, whole_portal
from opsportal.start_checks import alone_with_the_tables, require_database, require_keys, room_to_work


class Command(BaseCommand):
    help = "Prepares the database, then runs web and workers until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="Address to listen on (default %(default)s).")
        parser.add_argument("--port", type=int, default=settings.PORT, help="Default %(default)s.")
        parser.add_argument("--data", metavar="DIR", help="Where database, keys and logs are (default var/).")
        parser.add_argument("--workers", type=int, default=1, metavar="N", help="Execution clusters.")

    def handle(self, *, host: str, port: int, workers: int, **options: object) -> None:
        if workers < 1:
            raise CommandError("--workers must be at least 1: without one, nothing is executed.")
        os.umask(0o077)  # database, logs and keys are this user's alone
        with room_to_work(settings.DATA_DIR):
            only_one = _lock(settings.DATA_DIR / "up.lock")
            check_port(host, port)
            self._prepare()
            console = Console(settings.DATA_DIR / "logs")
        whole_portal(console, host=host, port=port, workers=workers).run(public_address(host, port))
        os.close(only_one)

    def _prepare(self) -> None:
        require_database()
        with alone_with_the_tables():
            call_command("migrate", interactive=False, verbosity=0)
            require_keys()
            self._first_user()
        connections.close_all()

    def _first_user(self) -> None:
        users = get_user_model().objects
        if users.exists():
            return
        password = secrets.token_urlsafe(12)
        admin = users.create_superuser(username="admin", password=password)
        if settings.PARTS.first_workflows:
            import_string(settings.PARTS.first_workflows)(author=admin)
        self.stdout.write(f"First start: sign in as `admin` with the password {password}")
        self.stdout.write("It is shown only now. Change it: ./ops manage changepassword admin")
        self.stdout.flush()


def _lock(file: Path) -> int:
    """Hold the data directory for this process; the kernel lets go when it ends, however it ends."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CommandError(f"`up` already runs on {file.parent}: end it, or choose another --data.") from None
    return descriptor
