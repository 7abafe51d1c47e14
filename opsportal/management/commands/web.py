"""`manage.py web`: pages and API."""

import gc
from argparse import ArgumentParser

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import get_resolver
from django.utils.module_loading import import_string

from opsportal.parent_death import end_with_parent
from opsportal.start_checks import require_keys, require_migrations
from opsportal.websocket_protocol import WebSocketProtocol

LONGEST_QUESTION = 64 * 1024
OBJECTS_A_ROUND = 20_000
"""New objects that make the collector look at the young ones; one round in a hundred is a full one."""


def spare_what_stays() -> None:
    """Take what was loaded for good out of the garbage collector's rounds, and make these rarer.

    A full round looks at every object of the process and halts all requests meanwhile: it was most of what
    the slowest submissions took.
    """
    get_resolver().url_patterns  # noqa: B018  (else the first request would load them)
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_A_ROUND, 10, 10)


class Command(BaseCommand):
    help = "Serves pages and API until SIGTERM."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=settings.PORT)
        parser.add_argument("--parent", type=int, help="End when this process, our parent, ends.")

    def handle(self, *, host: str, port: int, parent: int | None, **options: object) -> None:
        if parent is not None:
            end_with_parent(parent)
        require_migrations()
        require_keys()
        config = uvicorn.Config(
            settings.PARTS.application,
            host=host,
            port=port,
            lifespan="off",
            ws=WebSocketProtocol,
            ws_max_size=LONGEST_QUESTION,
            ws_per_message_deflate=False,  # it would pack the same events once for each reader
            log_config=None,
            access_log=False,
            server_header=False,
            # Trusted from a proxy on this machine only, and only when there is one.
            proxy_headers=bool(settings.PUBLIC_URL),
            timeout_graceful_shutdown=8,
        )
        config.load()
        spare_what_stays()
        server: uvicorn.Server = import_string(settings.PARTS.server)(config)
        server.run()
        if not server.started:
            raise CommandError(f"The web server could not start on {host} port {port}; its log says why.")
