"""uvicorn's WebSockets, whose end does not depend on the reader."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

LEFT_TO_READ = 10.0


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """A reader that takes nothing is told why it is dropped, and is gone some seconds later."""

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
