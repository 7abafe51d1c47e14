"""The HTTP(S) side of the simulated target: one thread for each connection."""

from __future__ import annotations

import http
import logging
import select
import socket
import socketserver
import ssl
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from opsportal.simulated_windows import sealing
from opsportal.simulated_windows.authentication import Acceptors, Authenticator, Challenge
from opsportal.simulated_windows.exchange import ConnectionBroken, Exchange, Reply
from opsportal.simulated_windows.settings import BANNER, Settings
from opsportal.simulated_windows.soap import is_identify

SOAP = "application/soap+xml;charset=UTF-8"
PATHS = ("/wsman", "/wsman-anon/identify")
LARGEST_BODY = 64 * 1024 * 1024
GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR
logger = logging.getLogger(__name__)


class Connection(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server_version = BANNER
    sys_version = ""
    disable_nagle_algorithm = True
    server: Server

    def setup(self) -> None:
        context = self.server.tls
        peer = None
        if context is not None:
            self.request = context.wrap_socket(self.request, server_side=True)
            peer = self.request.getpeercert(binary_form=True)
        self.server.connected(self.request)
        super().setup()
        self.authenticator = Authenticator(self.server.settings, self.server.acceptors, peer)
        self.poll = select.poll()
        self.poll.register(self.request, select.POLLRDHUP)

    def finish(self) -> None:
        super().finish()
        self.server.disconnected(self.request)

    def log_message(self, format: str, *arguments: Any) -> None:
        logger.debug("%s: %s", self.client_address[0], format % arguments)

    def alive(self) -> bool:
        """Whether the client still waits, as far as can be seen."""
        return not any(event & GONE for _, event in self.poll.poll(0))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            self.close_connection = True
            return self.reply(Reply(413 if length.isdecimal() else 400))
        body = self.rfile.read(int(length))
        if self.path.partition("?")[0] not in PATHS:
            return self.reply(Reply(404))
        try:
            self.reply(self._answer(body))
        except ConnectionBroken as broken:
            self.close_connection = True
            self.wfile.write(broken.sent)
            self.server.end(self.request)
        return None

    def _answer(self, body: bytes) -> Reply:
        exchange = self.server.exchange
        unasked = (self.headers.get("WSMANIDENTIFY") or "").lower() == "unauthenticated"
        if unasked and is_identify(body):
            return exchange.identify(known=False)
        try:
            user, headers = self.authenticator.authenticate(self.headers.get("Authorization") or "")
        except Challenge as challenge:
            return Reply(401, challenges=challenge.headers)
        if not body:
            return Reply(200, challenges=headers)
        content_type = self.headers.get("Content-Type") or ""
        try:
            protocol = sealing.protocol_of(content_type)
            message = sealing.unseal(self.authenticator.context, body) if protocol else body
        except sealing.Unsealable as error:
            logger.debug("not unsealed: %s", error)
            return Reply(400)
        if (
            not protocol
            and not self.server.settings.tls
            and not self.server.settings.logins.allow_unencrypted
        ):
            return Reply(401, challenges=self.authenticator.offers())
        reply = exchange.answer(message, user=user, address=self.client_address[0], connection=self)
        return self._sealed(reply, protocol, headers)

    def _sealed(self, reply: Reply, protocol: str, headers: list[str]) -> Reply:
        context = self.authenticator.context
        if not protocol or context is None or not reply.body:
            return Reply(reply.status, reply.body, reply.content_type, challenges=headers, cut=reply.cut)
        content_type, body = sealing.seal(context, protocol, reply.body)
        if reply.spoil:
            body = body[:-40] + bytes(byte ^ 0x55 for byte in body[-40:-36]) + body[-36:]
        return Reply(reply.status, body, content_type, challenges=headers, cut=reply.cut)

    def reply(self, reply: Reply) -> None:
        """In one write: header and body apart cost a delayed acknowledgement."""
        reason = http.HTTPStatus(reply.status).phrase
        lines = [f"HTTP/1.1 {reply.status} {reason}", f"Server: {BANNER}", f"Date: {self.date_time_string()}"]
        lines += [f"WWW-Authenticate: {challenge}" for challenge in reply.challenges]
        if reply.body:
            lines.append(f"Content-Type: {reply.content_type or SOAP}")
        if self.close_connection:
            lines.append("Connection: close")
        lines.append(f"Content-Length: {len(reply.body)}")
        whole = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + reply.body
        if reply.cut:
            raise ConnectionBroken(whole[: len(whole) // 2])
        self.wfile.write(whole)


class Server(socketserver.ThreadingTCPServer):
    """Listens for one target."""

    allow_reuse_address = True
    request_queue_size = 256
    daemon_threads = False

    def __init__(self, settings: Settings, exchange: Exchange, tick: Callable[[], None]) -> None:
        self.settings = settings
        self.exchange = exchange
        self.tick = tick
        self.tls = _tls(settings)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.connections = 0
        self.address_family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        super().__init__((settings.host, settings.port), Connection)
        self.acceptors = Acceptors(settings)

    def service_actions(self) -> None:
        self.tick()

    def connected(self, connection: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            self._open.add(connection)

    def disconnected(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def end(self, connection: socket.socket) -> None:
        """Let the peer see an end at once."""
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            logger.debug("the connection had ended already")

    def drop_connections(self) -> None:
        """As if the network had broken."""
        with self._lock:
            for connection in self._open:
                self.end(connection)

    def close(self) -> None:
        self.shutdown()
        self.drop_connections()
        self.server_close()
        self.acceptors.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is nothing new; anything else is a fault of the simulator."""
        level = logging.DEBUG if isinstance(sys.exception(), OSError) else logging.ERROR
        logger.log(level, "connection of %s ended", client_address, exc_info=True)


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.certificate.chain, settings.certificate.key)
    if settings.certificate.clients is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(settings.certificate.clients)
    return context
