"""A script over one plain channel: for steps that only read, and for use as a library.

The script lives and dies with its channel: when this end goes away, the target ends it. Work that changes
something and must outlive us goes through the envelope instead.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace
from typing import Literal

from automation.libraries.deadlines import after
from automation.libraries.errors import (
    BecomeFailed,
    BecomePasswordRequired,
    ConnectionLost,
    EndMissing,
    ExecTimeout,
    LibraryError,
    ShellUnusable,
    last_words,
)
from automation.libraries.framing import StreamReader
from automation.libraries.outputs import OUTPUTS_LIMIT
from automation.libraries.types import Channel, Connection, Control, OnOutput, Stream
from credentials.secret import Secret

GRACE = 5
"""Seconds between asking the script to end and killing it."""
SETTLE = 5.0
"""Seconds more to wait for the proof that it has ended."""
STARTING = 60.0
"""Seconds for starting the shell, and again for taking the script, whatever the script's own time."""
SLOWEST = 4096
"""Bytes a second that a long script may take more time for."""

# One line, in single quotes for any login shell, so it holds no single quote, nor a "!" that csh would take.
# Everything comes over stdin: lines before the header (a sudo password that was not needed) are dropped; the
# script counts only if it arrived whole, with the nonce behind it. It runs in a process group of its own,
# with nothing on its stdin, without the variables used here. A watcher sees the end of our stdin, which is
# how it is told to stop. The streams go through pipes because sshd's are sockets, on which `> /dev/stderr`
# fails; the records go the same way, behind what the script wrote.
_BOOTSTRAP = " ".join(
    f"""
while IFS= read -r __l; do case $__l in "OPSPORTAL "*) break;; esac; done;
set -- $__l; __s=$(head -c "$3");
case $__s in *"$2") ;; *) exit 125;; esac;
for __d in /dev/shm "${{TMPDIR:-/tmp}}" "$HOME"; do __o=$__d/.opsportal-$2;
( umask 077; set -C; : >"$__o" ) 2>/dev/null && break; __o=/dev/null; done;
exec 3<&0 4>&1 5>&2 </dev/null;
exec > >(exec cat >&4 3<&- 4>&- 5>&-) 2> >(exec cat >&5 3<&- 4>&- 5>&-) 5>&-;
exec 4>&2;
printf "\\036OPSPORTAL %s B\\n" "$2"; printf "\\036OPSPORTAL %s B\\n" "$2" >&4;
set -m;
( set +m; __s=${{__s%"$2"}}; export OPSPORTAL_OUTPUT="$__o"; unset __l __d __o; set --; eval "$__s" )
3<&- 4>&- & __p=$! ;
exec 2>/dev/null;
( while read -r __l; do :; done; kill -TERM -- -$__p; sleep {GRACE}; kill -KILL -- -$__p )
<&3 >/dev/null 3<&- 4>&- & __w=$! ;
wait $__p; __c=$?;
while kill -0 $__p; do wait $__p; __c=$?; done;
kill -KILL -- -$__w;
if [ -f "$__o" ] && [ -s "$__o" ];
then printf "\\036OPSPORTAL %s E %s\\n" "$2" $__c; head -c 65537 "$__o"; printf "\\036OPSPORTAL %s Z\\n" "$2";
else printf "\\036OPSPORTAL %s E %s\\n\\036OPSPORTAL %s Z\\n" "$2" $__c "$2"; fi;
[ "$__o" = /dev/null ] || rm -f "$__o"; printf "\\036OPSPORTAL %s Z\\n" "$2" >&4
""".split("\n")
).strip()
LAST_PIECE = 16 * 1024
"""Bytes sent last, in one packet: until then the target cannot have begun."""


@dataclass(frozen=True, slots=True)
class PlainEnd:
    """How a script ended. `exit_code` is its own (128 + n after signal n); None when it is not known.

    `confirmed` says that the target reported the end; without it, a script that was told to stop may still
    be running. `outputs` is what it wrote to the file named by OPSPORTAL_OUTPUT, 64 KiB at most.
    `incomplete`: an answer with output may have been lost on the way.
    """

    how: Literal["ended", "cancelled", "timed_out", "output_limit"]
    exit_code: int | None
    outputs: bytes
    outputs_cut: bool
    stdout_length: int
    stderr_length: int
    confirmed: bool
    incomplete: bool = False


def run_plain(
    connection: Connection,
    payload: bytes,
    *,
    on_output: OnOutput,
    timeout: float,
    output_limit: int,
    become: bool = False,
    become_password: Secret | None = None,
    control: Control | None = None,
) -> PlainEnd:
    """Run a bash script (assignments and all, as bytes without NUL) and stream what it writes.

    The script gets nothing on its stdin and appears in no argument list. It may take `timeout` seconds and
    write `output_limit` bytes in all; beyond either, or when `control` says so, its process group is ended
    and the result tells how. Raises, besides what opening a channel raises: `BecomePasswordRequired`,
    `BecomeFailed`, `ShellUnusable`, `EndMissing`, `ConnectionLost`. Their `sent` is False when the script
    cannot have begun.
    """
    return PlainRun(
        payload=payload,
        on_output=on_output,
        timeout=timeout,
        output_limit=output_limit,
        become_password=become_password if become else None,
        become=become,
        control=control,
    ).on(connection)


def command_line(*, become: bool, with_password: bool) -> str:
    """The one command line there is; it holds nothing of the caller's."""
    # bash takes a socket on its stdin for a remote login and would read the login's .bashrc a second time.
    shell = f"bash --norc -c '{_BOOTSTRAP}'"
    if not become:
        return f"exec {shell}"
    # sudo's messages are read below, so they must be in the language we know.
    ask = '-k -S -p ""' if with_password else "-n"
    return f"exec env LC_ALL=C sudo {ask} -- {shell}"


@dataclass
class PlainRun:
    """One script on its way: what `run_plain` does, for callers that have a channel of their own."""

    payload: bytes
    on_output: OnOutput
    timeout: float
    output_limit: int
    become: bool = False
    become_password: Secret | None = None
    control: Control | None = None

    def __post_init__(self) -> None:
        if b"\0" in self.payload:
            raise ValueError("a bash script cannot hold NUL bytes")
        nonce = secrets.token_hex(16).encode()
        self.nonce = nonce
        self.readers: dict[Stream, StreamReader] = {
            "stdout": StreamReader(nonce),
            "stderr": StreamReader(nonce),
        }
        self.lengths: dict[Stream, int] = {"stdout": 0, "stderr": 0}
        self.stopped: Literal["ended", "cancelled", "timed_out", "output_limit"] = "ended"
        self.uploaded = False
        self.sent = b""

    def anew(self) -> PlainRun:
        """The same script, nothing of which was sent or heard."""
        return replace(self)

    def on(self, connection: Connection) -> PlainEnd:
        """On a channel for this script alone."""
        command = command_line(become=self.become, with_password=self.become_password is not None)
        try:
            channel = connection.open_channel(command, deadline=after(STARTING))
        except (ExecTimeout, ConnectionLost) as fault:
            # Without its input, which was not sent, the command does nothing.
            fault.sent = False
            raise
        try:
            return self.over(channel)
        finally:
            channel.close()

    def over(self, channel: Channel, *, first: bytes = b"") -> PlainEnd:
        """On this channel, where `first` is sent before the script and a program waits for both."""
        if self.control is not None:
            self.control.attach(channel.wake)
        self._upload(channel, first)
        return self._follow(channel, after(self.timeout))

    def _upload(self, channel: Channel, first: bytes) -> None:
        password = b"" if self.become_password is None else self.become_password.reveal_bytes() + b"\n"
        header = b"OPSPORTAL %s %d\n" % (self.nonce, len(self.payload) + len(self.nonce))
        self.sent = first + password + header + self.payload + self.nonce
        upload = memoryview(self.sent)
        # The script can begin only when the last byte has come, so a fault before that is safe to repeat.
        last = max(0, len(upload) - LAST_PIECE)
        deadline = after(STARTING + len(upload) / SLOWEST)
        try:
            if last:
                channel.send(bytes(upload[:last]), deadline=deadline)
            self.uploaded = True
            channel.send(bytes(upload[last:]), deadline=deadline)
        except LibraryError as fault:
            fault.sent = self.uploaded
            raise

    def _follow(self, channel: Channel, deadline: float) -> PlainEnd:
        while not self._finished:
            self._check_orders(channel)
            in_time = channel.wait(deadline=deadline)
            self._drain(channel)
            if channel.ended and not self._finished:
                raise self._explain(channel)
            if not in_time:
                if self.stopped != "ended":
                    break
                self._stop(channel, "timed_out")
            if self.stopped != "ended":
                deadline = min(deadline, self._last_call) if in_time else self._last_call
        return self._end()

    @property
    def _finished(self) -> bool:
        return all(reader.finished for reader in self.readers.values())

    def _check_orders(self, channel: Channel) -> None:
        if self.stopped != "ended":
            return
        if sum(self.lengths.values()) > self.output_limit:
            self._stop(channel, "output_limit")
        elif self.control is not None and self.control.cancelled:
            self._stop(channel, "cancelled")
        elif self.control is not None and self.control.expired:
            self._stop(channel, "timed_out")

    def _stop(self, channel: Channel, why: Literal["cancelled", "timed_out", "output_limit"]) -> None:
        self.stopped = why
        self._last_call = time.monotonic() + GRACE + SETTLE
        channel.send_eof()

    def _drain(self, channel: Channel) -> None:
        for stream, reader in self.readers.items():
            while data := channel.read(stream):
                own = reader.feed(data)
                self.lengths[stream] += len(own)
                if own and self.stopped != "output_limit":
                    self.on_output(stream, own)
                if sum(self.lengths.values()) > self.output_limit:
                    break  # told to stop before more of it is read

    def _end(self) -> PlainEnd:
        reader = self.readers["stdout"]
        return PlainEnd(
            how=self.stopped,
            exit_code=reader.exit_code,
            outputs=bytes(reader.extra[:OUTPUTS_LIMIT]),
            outputs_cut=len(reader.extra) > OUTPUTS_LIMIT,
            stdout_length=self.lengths["stdout"],
            stderr_length=self.lengths["stderr"],
            confirmed=self._finished,
        )

    def _explain(self, channel: Channel) -> LibraryError:
        """Why the channel ended without the proof of the script's end."""
        begun = any(reader.begun for reader in self.readers.values())
        status = channel.exit_status
        if status is None:
            return ConnectionLost("The connection ended before the script's end was known")
        noise = self.readers["stderr"].noise + b"\n" + self.readers["stdout"].noise
        if self.become and not begun:
            fault = _sudo_fault(noise)
            if fault is not None:
                return fault
        if not begun:
            hint = "The target has no bash" if status == 127 else last_words(noise, sent=self.sent)
            return ShellUnusable(
                f"The login's shell ended with status {status} and started nothing", cause_hint=hint
            )
        return EndMissing(f"The shell ended with {status} before the script's end was known")


def _sudo_fault(words: bytes) -> LibraryError | None:
    if b"a password is required" in words or b"a terminal is required" in words:
        return BecomePasswordRequired(
            "sudo asks for a password on this target",
            cause_hint="sudo says the same to a login that it does not know at all",
        )
    if b"incorrect password" in words or b"Sorry, try again" in words:
        return BecomeFailed("sudo did not accept the password")
    if b"sudo" in words:
        return BecomeFailed("sudo refused this login, or is missing on the target")
    return None
