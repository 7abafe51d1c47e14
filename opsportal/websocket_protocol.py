"""uvicorn's WebSockets, whose end does not depend on the reader."""

import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

LEFT_TO_READ = 10.0


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """A reader that takes nothing is told why it is dropped, and is gone some seconds later."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # It logs addresses with their queries, as accesses do.
        self.logger = self.conn.logger = logging.getLogger("uvicorn.access")

    async def send(self, message: Any) -> None:
        if message["type"] == "websocket.close":
            self.writable.set()  # the close goes behind what is unread, instead of waiting for it for ever
        await super().send(message)

    async def run_asgi(self) -> None:
        try:
            await super().run_asgi()
        finally:
            # A transport that is closed still keeps what it could not send, for as long as the peer lives.
            self.loop.call_later(LEFT_TO_READ, self.transport.abort)
