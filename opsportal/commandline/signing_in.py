"""The command that stores a connection."""

import os
import sys
from contextlib import suppress
from typing import Annotated
from urllib.parse import urlsplit

import typer

from aiworkflows.client_errors import NotPermittedError
from opsportal.commandline.connection import Connection, config_file, write_config
from opsportal.commandline.exits import UsageError
from opsportal.commandline.options import AsJson
from opsportal.commandline.paper import Paper
from opsportal.commandline.session import errors_told

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def login(
    url: Annotated[str, typer.Argument(help="The portal's address.")] = "http://127.0.0.1:3003",
    *,
    as_json: AsJson = False,
) -> None:
    """Store the portal's address and your token, which is asked for, or read from a pipe, and tried."""
    paper = Paper(as_json=as_json)
    with errors_told(paper):
        terminal = sys.stdin.isatty()
        token = typer.prompt("Token", hide_input=True) if terminal else sys.stdin.readline()
        connection = Connection(url.rstrip("/"), token.strip())
        # A token that may not list runs is a token all the same.
        with connection.client() as client, suppress(NotPermittedError):
            next(client.runs(), None)
        path = config_file(os.environ)
        try:
            write_config(path, connection)
        except OSError as error:
            cause = f"{path} cannot be written: {error.strerror}."
            raise UsageError(cause, "Make it writable, or set OPSPORTAL_URL and OPSPORTAL_TOKEN.") from None
        if urlsplit(url).scheme == "http" and urlsplit(url).hostname not in LOOPBACK:
            paper.say(
                "warning: with http everybody on the way can read the token; use https.", style="yellow"
            )
        if as_json:
            paper.json({"url": connection.url, "file": str(path)})
        paper.line(f"Stored in {path}, for your eyes only.")
