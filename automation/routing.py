"""Addresses of the portal's WebSockets, and whose pages may open them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from channels.routing import URLRouter
from channels.security.websocket import WebsocketDenier
from channels.sessions import CookieMiddleware
from django.conf import settings
from django.http.request import split_domain_port, validate_host
from django.urls import re_path

from automation.consumers import RunConsumer
from automation.live.tailer import Tailer

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def websockets(tailer: Tailer) -> Application:
    """All WebSockets of the portal."""
    runs = RunConsumer.as_asgi(tailer=tailer)
    routes = URLRouter(
        [re_path(r"^ws/runs/(?P<run>[0-9]{1,18})/$", runs), re_path("", WebsocketDenier.as_asgi())]
    )
    # Who it is, the consumer asks for himself: the same question again and again for as long as he is there.
    return _own_pages_only(CookieMiddleware(routes))


def _own_pages_only(application: Application) -> Application:
    """A browser sends our cookies along for any page; only our own pages may use them for a socket.

    Unlike Channels' own check this one compares ports: cookies do not keep them apart, and another program on
    this machine may serve pages too. No browser can set an Authorization header on a socket, so who sends one
    needs no Origin.
    """

    async def guarded(scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        origin, host = headers.get(b"origin"), headers.get(b"host", "")
        known = validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)
        own = {
            f"{_SCHEMES.get(scope.get('scheme', 'ws'), 'http')}://{host.lower()}",
            *settings.CSRF_TRUSTED_ORIGINS,
        }
        allowed = b"authorization" in headers if origin is None else origin.lower() in own
        chosen = application if known and allowed else WebsocketDenier.as_asgi()
        await chosen(scope, receive, send)

    return guarded


_SCHEMES = {"ws": "http", "wss": "https"}
