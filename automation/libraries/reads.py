"""Scripts that only read, many on one connection: a program on the target starts one after the other."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from functools import cache

from automation.libraries.deadlines import after
from automation.libraries.envelope_upload import PERL_BOOTSTRAP, program
from automation.libraries.errors import ConnectionLost, ExecTimeout, ShellUnusable
from automation.libraries.plain import STARTING, PlainEnd, PlainRun
from automation.libraries.types import Channel, Connection

OLDEST = 60.0
"""Seconds after which the program is replaced: the login's environment may be another by then."""
# Any login shell reads it alike, as the envelope's. csh and fish know `exec` too.
COMMAND = f"exec perl -e '{PERL_BOOTSTRAP}'"


class Reads:
    """The reading scripts of one connection, for one thread at a time.

    The first goes the plain way, and so do all where the target has no Perl. From the second on a program
    stays on the target (guard/reads.pl), which costs it a third of what a channel and its shells do for each.
    It has the login's environment as it was when it began, so it is ended before anything else runs on the
    connection, and when it is a minute old: what a changing step left behind is seen by the next reading one.
    """

    def __init__(self, connection: Connection, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._clock = clock
        self._began = 0.0
        self._channel: Channel | None = None
        self._had_one = False
        self.in_vain = False
        """The program could not be had: there is no Perl, or none that starts."""

    def run(self, script: PlainRun) -> PlainEnd:
        """Run it, with the same promises and errors as `run_plain`; without sudo."""
        if not self._had_one or self.in_vain:
            self._had_one = True
            return script.on(self._connection)
        channel, first = self._take()
        try:
            end = script.over(channel, first=first)
        except ShellUnusable:
            # No Perl, or one that could not start it. Nothing was begun, so the plain way may be taken.
            channel.close()
            self.in_vain = True
            return script.anew().on(self._connection)
        except BaseException:
            channel.close()
            raise
        if end.how == "ended" and not channel.ended:
            self._channel = channel
        else:
            channel.close()
        return end

    def end(self) -> None:
        """Have the program go. Safe to repeat."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _take(self) -> tuple[Channel, bytes]:
        """The channel, and what must be sent first: nothing where the program is there already."""
        channel, self._channel = self._channel, None
        if channel is not None:
            if not channel.ended and self._clock() - self._began < OLDEST:
                return channel, b""
            channel.close()
        self._began = self._clock()
        try:
            return self._connection.open_channel(COMMAND, deadline=after(STARTING)), _loader()
        except (ExecTimeout, ConnectionLost) as fault:
            fault.sent = False  # without its input the command does nothing
            raise


def _loader() -> bytes:
    text = _program()
    return b"opsportal-guard %s %d\n" % (secrets.token_hex(16).encode(), len(text)) + text


@cache
def _program() -> bytes:
    return f"our $bash = '{program('reads.bash')}';\n{program('reads.pl')}".encode("ascii")
