"""What a whole portal on one machine consists of: its processes, its address, the check of its port."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError

from opsportal.console import Console
from opsportal.supervised import Supervised
from opsportal.supervisor import Supervisor

MANAGE = Path(settings.BASE_DIR) / "manage.py"


def whole_portal(
    console: Console,
    *,
    host: str,
    port: int,
    workers: int = 1,
    beside: Sequence[tuple[str, Sequence[str]]] = (),
) -> Supervisor:
    """Web and workers, not yet started; `beside` are further commands of ours, each with the name to show."""
    environment = _environment(host, port)
    web = Supervised("web", _command("web", "--host", host, "--port", str(port)), environment, console)
    children = [Supervised(name, _command(*words), environment, console) for name, words in beside]
    if settings.PARTS.workers:
        children += _workers(console, environment, control=1, execution=workers)
    return Supervisor(web, children, console, host=_reachable(host), port=port)


def only_workers(console: Console, *, control: int, execution: int) -> Supervisor:
    """So many clusters of each kind, not yet started, for a machine beside the one with the web process."""
    return Supervisor(None, _workers(console, _environment(), control=control, execution=execution), console)


def _workers(
    console: Console, environment: dict[str, str], *, control: int, execution: int
) -> list[Supervised]:
    clusters = [("control", f"control-{n}" if n > 1 else "control") for n in range(1, control + 1)]
    clusters += [("execution", f"execution-{n}") for n in range(1, execution + 1)]
    return [
        Supervised(name, _command("opsworker", cluster), {**environment, "Q_CLUSTER_NAME": cluster}, console)
        for cluster, name in clusters
    ]


def check_port(host: str, port: int) -> None:
    """Say at once, and in words, what the web process would stumble over. Raises CommandError."""
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


def public_address(host: str, port: int) -> str:
    """The address that people type."""
    shown = _reachable(host)
    return settings.PUBLIC_URL or f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/"


def _command(*arguments: str) -> list[str]:
    return [sys.executable, str(MANAGE), *arguments]


def _environment(host: str = "", port: int = 0) -> dict[str, str]:
    """Without a host, of processes that nobody reaches."""
    environment = {**os.environ, "OPSPORTAL_DATA": str(settings.DATA_DIR), "PYTHONUNBUFFERED": "1"}
    if port:
        environment["OPSPORTAL_PORT"] = str(port)
    if host and not _is_wildcard(host):
        names = [
            *os.environ.get("OPSPORTAL_ALLOWED_HOSTS", "").split(","),
            f"[{host}]" if ":" in host else host,
        ]
        environment["OPSPORTAL_ALLOWED_HOSTS"] = ",".join(filter(None, names))
    return environment


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
