"""Running one PowerShell script in a warm shell: for reading steps, and for callers who keep account.

The changing steps of a run go through `automation.libraries.windows.envelope`, which starts at most once.
"""

from __future__ import annotations

import json
import secrets

from automation.libraries.deadlines import after
from automation.libraries.errors import LibraryError, last_words
from automation.libraries.outputs import OUTPUTS_LIMIT
from automation.libraries.plain import PlainEnd
from automation.libraries.types import Control, OnOutput
from automation.libraries.windows.bootstrap import UPLOAD_BROKEN, command_line, stdin_of
from automation.libraries.windows.connection import WinRMConnection
from automation.libraries.windows.errors import PowerShellUnconfirmed, PowerShellUnusable
from automation.libraries.windows.follow import GRACE, Follow, Place
from automation.libraries.windows.streams import Streams
from automation.libraries.windows.types import OnRecord
from automation.libraries.windows.wsman import Fault, NothingYet, signed

MARGIN = 60.0
"""Seconds beyond the script's own time for its last output and a slow network."""


def run_powershell(
    connection: WinRMConnection,
    payload: bytes,
    *,
    on_output: OnOutput,
    timeout: float,
    output_limit: int,
    on_record: OnRecord | None = None,
    control: Control | None = None,
) -> PlainEnd:
    """Run a packed script (`pack_script`) once and hand on what it says.

    It may take `timeout` seconds and write `output_limit` bytes in all; beyond either, or when `control` says
    so, it is ended and the result tells how. Raises, besides what a connection raises, `PowerShellUnusable`,
    `PowerShellUnconfirmed`, `ShellLost`; their `sent` is False when the script cannot have begun.
    """
    nonce = secrets.token_hex(16)
    streams = Streams(nonce, on_output, on_record)
    shell_id, command_id = connection.start(*command_line())
    place = Place(shell_id, command_id)
    follow = Follow(connection, place, streams, output_limit=output_limit, control=control)
    try:
        follow.upload(stdin_of({**json.loads(payload), "mode": "plain", "nonce": nonce}))
        follow.until_end(timeout=timeout, deadline=after(timeout + GRACE + MARGIN))
        end = plain_end(follow, streams)
    except LibraryError:
        abandon(connection)
        raise
    if end.how == "ended" and not end.incomplete:
        free(connection, place)
    else:
        abandon(connection)
    return end


def plain_end(follow: Follow, streams: Streams) -> PlainEnd:
    """The end of a command that was followed as far as it went.

    Raises `PowerShellUnusable` and `PowerShellUnconfirmed`.
    """
    record = streams.end()
    if record is None and follow.stopped == "ended":
        raise explain_end(follow, streams)
    code, outputs = record if record is not None else ("-", b"")
    return PlainEnd(
        how=follow.stopped,
        exit_code=_code(code, follow, known=record is not None),
        outputs=outputs[:OUTPUTS_LIMIT],
        outputs_cut=len(outputs) > OUTPUTS_LIMIT,
        stdout_length=streams.lengths["stdout"],
        stderr_length=streams.lengths["stderr"],
        confirmed=follow.confirmed,
        incomplete=follow.incomplete,
    )


def _code(code: str, follow: Follow, *, known: bool) -> int | None:
    """`exit N` in a script ends the whole process: then its own code is the one that counts."""
    if not known:
        return None
    return follow.exit_code if code == "-" else signed(code)


def explain_end(follow: Follow, streams: Streams) -> LibraryError:
    """Why a command ended without telling the script's end."""
    if streams.begun:
        return PowerShellUnconfirmed(
            f"PowerShell ended with {follow.exit_code} before the script's end was known"
        )
    if follow.exit_code == UPLOAD_BROKEN:
        return PowerShellUnusable(
            "The script did not arrive whole on the target and was not started", sent=False
        )
    return PowerShellUnusable(
        f"PowerShell ended with {follow.exit_code} and started nothing",
        cause_hint=last_words(streams.noise, sent=b""),
        sent=False,
    )


def free(connection: WinRMConnection, place: Place) -> None:
    """Let the target forget a command that has ended, so that its shell can take more of them."""
    try:
        connection.wsman.signal(place.shell_id, place.command_id)
    except (Fault, NothingYet, LibraryError):
        abandon(connection)


def abandon(connection: WinRMConnection) -> None:
    """After trouble: close the shell with all that runs in it, and have the connection used no more."""
    connection.suspect = True
    connection.drop_shell()
