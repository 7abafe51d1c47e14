"""One command's use of the portal: its connection, its paper, and what went wrong as an exit code."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import typer

from aiworkflows.automation_client import AutomationClient
from aiworkflows.client_errors import (
    AutomationError,
    ConflictError,
    ConnectionCutError,
    DeadlineExceededError,
    InvalidRequestError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    ThrottledError,
    UnexpectedAnswerError,
    UnreachableError,
)
from opsportal.commandline.connection import LOGIN, find_connection
from opsportal.commandline.exits import Exit, UsageError
from opsportal.commandline.paper import Paper

NEXT: Final = (
    (NotAuthenticatedError, f"The token is unknown, expired or revoked. {LOGIN}"),
    (NotPermittedError, "Use a token whose owner and scopes allow it."),
    (NotFoundError, "Check the name or number: `runs`, `workflows` and `targets` list what you may see."),
    (ConflictError, "Look at it with `show`; somebody may have decided already."),
    (InvalidRequestError, "Correct what is named above; nothing was started."),
    (ThrottledError, "Wait a moment, then ask again."),
    (UnreachableError, "Is the portal up, and the address right? Nothing was sent."),
    (
        (ConnectionCutError, DeadlineExceededError),
        "What was asked for may have been done: look with `runs` before you ask again.",
    ),
    (UnexpectedAnswerError, "Is there a portal at this address?"),
)


class Session(NamedTuple):
    """A client, and where to write."""

    client: AutomationClient
    paper: Paper


@contextmanager
def session(*, as_json: bool) -> Iterator[Session]:
    """Open the connection; errors are told with cause and next step, and end with Exit.REFUSED."""
    paper = Paper(as_json=as_json)
    with errors_told(paper), find_connection(os.environ).client() as client:
        yield Session(client, paper)


@contextmanager
def errors_told(paper: Paper) -> Iterator[None]:
    """Tell errors instead of raising them; ends the program."""
    try:
        yield
    except UsageError as error:
        paper.error(str(error), error.next_step, code="usage")
        raise typer.Exit(Exit.REFUSED) from None
    except AutomationError as error:
        paper.error(cause_of(error), next_step_of(error), code=error.code)
        raise typer.Exit(Exit.REFUSED) from None


def cause_of(error: AutomationError) -> str:
    """The error's sentence, and in lines of their own what it says of single fields."""
    told = [error.detail]
    for found in error.errors:
        field, message = str(found.get("field") or found.get("path") or ""), str(found.get("message", ""))
        if message and message not in error.detail:
            told.append(f"{field}: {message}" if field else message)
    return "\n".join(told)


def next_step_of(error: AutomationError) -> str:
    """What to do about it."""
    return next(
        (text for kind, text in NEXT if isinstance(error, kind)), "Look at the portal's log, then ask again."
    )
