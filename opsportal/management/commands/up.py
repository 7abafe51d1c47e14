"""`manage.py up`: everything on one machine."""

import errno
import fcntl
import os
import secrets
import socket
import sys
from argparse import ArgumentParser
from ipaddress import ip_address
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from opsportal.console import Console
from opsportal.start_checks import require_keys
from opsportal.supervised import Supervised
from opsportal.supervisor import Supervisor

MANAGE = Path(settings.BASE_DIR) / "manage.py"


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
        only_one = _lock(settings.DATA_DIR / "up.lock")
        _check_port(host, port)
        call_command("migrate", interactive=False, verbosity=0)
        require_keys()
        self._first_user()
        connections.close_all()
        console = Console(settings.DATA_DIR / "logs")
        environment = _environment(host, port)
        web = Supervised("web", _command("web", "--host", host, "--port", str(port)), environment, console)
        clusters = [("control", "control"), *((f"execution-{n}", "execution") for n in range(1, workers + 1))]
        children = [
            Supervised(
                name, _command("opsworker", cluster), {**environment, "Q_CLUSTER_NAME": cluster}, console
            )
            for name, cluster in clusters
        ]
        Supervisor(web, children, console, host=_reachable(host), port=port).run(_address(host, port))
        os.close(only_one)

    def _first_user(self) -> None:
        users = get_user_model().objects
        if users.exists():
            return
        password = secrets.token_urlsafe(12)
        users.create_superuser(username="admin", password=password)
        self.stdout.write(f"First start: sign in as `admin` with the password {password}")
        self.stdout.write("It is shown only now. Change it: ./ops manage changepassword admin")
        self.stdout.flush()


def _command(*arguments: str) -> list[str]:
    return [sys.executable, str(MANAGE), *arguments]


def _environment(host: str, port: int) -> dict[str, str]:
    environment = {
        **os.environ,
        "OPSPORTAL_DATA": str(settings.DATA_DIR),
        "OPSPORTAL_PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }
    if not _is_wildcard(host):
        names = [
            *os.environ.get("OPSPORTAL_ALLOWED_HOSTS", "").split(","),
            f"[{host}]" if ":" in host else host,
        ]
        environment["OPSPORTAL_ALLOWED_HOSTS"] = ",".join(filter(None, names))
    return environment


def _lock(file: Path) -> int:
    """Hold the data directory for this process; the kernel lets go when it ends, however it ends."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CommandError(f"`up` already runs on {file.parent}: end it, or choose another --data.") from None
    return descriptor


def _check_port(host: str, port: int) -> None:
    """Say at once, and in words, what the web process would stumble over."""
    try:
        family, kind, protocol, _name, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except socket.gaierror:
        raise CommandError(f"--host {host}: there is no such address.") from None
    except OverflowError:
        raise CommandError(f"--port {port}: ports go from 1 to 65535.") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandError(
                f"Port {port} is taken by another program: choose another with --port or OPSPORTAL_PORT."
            ) from None
        raise CommandError(f"Cannot listen on {host} port {port}: {error.strerror}.") from None


def _is_wildcard(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False  # a name


def _reachable(host: str) -> str:
    """An address of this machine under which a server listening on `host` answers."""
    if not _is_wildcard(host):
        return host
    return "::1" if ":" in host else "127.0.0.1"


def _address(host: str, port: int) -> str:
    shown = _reachable(host)
    return settings.PUBLIC_URL or f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/"
