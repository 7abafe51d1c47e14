"""The web server of a process that streams what runs do."""

import socket

import uvicorn

from automation.live.tailer import end_all_following


class WebServer(uvicorn.Server):
    """Streams have no end of their own: they are ended first, or each stop would wait for its time-out."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await end_all_following()
        await super().shutdown(sockets)
