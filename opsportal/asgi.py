"""The portal as an ASGI application: pages and API, and WebSockets."""

import os
from typing import Any

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opsportal.settings")
pages = get_asgi_application()  # first: it loads the apps that the rest imports

from automation.live.tailer import Tailer  # noqa: E402
from automation.routing import websockets  # noqa: E402

tailer = Tailer()


async def pages_with_tailer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Views find the tailer of this process in the scope of their request."""
    await pages({**scope, "opsportal.tailer": tailer}, receive, send)


application = ProtocolTypeRouter({"http": pages_with_tailer, "websocket": websockets(tailer)})
