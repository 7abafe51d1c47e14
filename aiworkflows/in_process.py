"""The automation API without a socket: the same URLs, views and permissions, in this process and thread."""

import io
from typing import Any, Final

import httpx
from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponseBase

from aiworkflows.automation_client import AutomationClient

PRINCIPAL_KEY: Final = "opsportal.principal"
AUTH_KEY: Final = "opsportal.auth"


def own_host() -> str:
    """Name a host that this installation answers to, so that host checking holds here too."""
    for host in settings.ALLOWED_HOSTS:
        if host != "*":
            return str(host).lstrip(".")
    return "localhost"


def in_process_client(principal: Any, *, auth: Any = None, timeout: float = 30.0) -> AutomationClient:
    """Speak to the API of this very process as `principal`, with the rights of its token `auth`."""
    transport = InProcessTransport(principal, auth=auth)
    return AutomationClient(f"https://{own_host()}", None, transport=transport, timeout=timeout)


class InProcessTransport(httpx.BaseTransport):
    """Hands requests to Django's own handler, as `principal`.

    The principal travels in the WSGI environ under a key without `HTTP_`, which no header can set.
    `get_response` is used rather than the WSGI callable: that one would send request_started and
    request_finished, and so close the database connection of the request that we are inside of.
    """

    def __init__(self, principal: Any, *, auth: Any = None) -> None:
        self._principal = principal
        self._auth = auth
        self._handler = BaseHandler()
        self._handler.load_middleware()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(as {self._principal})"

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._handler.get_response(WSGIRequest(self._environ(request)))
        content = self._content(answer)
        headers = [
            (name, value)
            for name, value in answer.items()
            if name.lower() not in {"content-length", "transfer-encoding", "content-encoding"}
        ]
        return httpx.Response(answer.status_code, headers=headers, content=content)

    @staticmethod
    def _content(answer: HttpResponseBase) -> bytes:
        content = answer.getvalue()
        # Not answer.close(): that sends request_finished, and the connection that we are inside of is closed.
        for close in answer._resource_closers:  # type: ignore[attr-defined]  # the stubs know only close()
            close()
        return bytes(content)

    def _environ(self, request: httpx.Request) -> dict[str, Any]:
        body = request.read()
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            # PEP 3333: bytes of the path, read as latin-1.
            "PATH_INFO": _path(request).decode("latin-1"),
            "QUERY_STRING": request.url.query.decode("ascii"),
            "SERVER_NAME": request.url.host,
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            # Nothing leaves the process, so a rule that wants TLS is met.
            "wsgi.url_scheme": "https",
            "wsgi.version": (1, 0),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            PRINCIPAL_KEY: self._principal,
            AUTH_KEY: self._auth,
        }
        for name, value in request.headers.items():
            if name.lower() not in {"content-type", "content-length", "authorization", "cookie"}:
                environ["HTTP_" + name.upper().replace("-", "_")] = value
        return environ


def _path(request: httpx.Request) -> bytes:
    return request.url.path.encode()
