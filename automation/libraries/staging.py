"""Files on their way to a target: streamed beside a step, kept there by their content's hash.

Staging changes nothing that anybody looks at, and a file that is there already is not sent again. So it may
be repeated whatever becomes of the connection, and the step that puts the file in place starts only after it.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from automation.libraries.errors import ConnectionLost, LibraryError, SpoolUnusable
from automation.libraries.types import Channel, Connection, Control

PIECE = 256 * 1024
_HASH = re.compile(r"[0-9a-f]{64}")
_PLACE = re.compile(r"/[0-9A-Za-z_./-]{0,1023}")

# One single-quoted word for any login shell: no single quote, backslash, line feed or "!" inside. Whatever a
# login prints goes before the nonce. Old files go a week after they were last wanted.
_COMMAND = (
    "sh -c '"
    'umask 077; s() {{ set -- $(sha256sum <"$1"); [ "$1" = {hash} ]; }}; '
    'for d in /var/tmp "$HOME"; do d=$d/.opsportal-files-$(id -u); mkdir "$d" 2>/dev/null; '
    '[ -h "$d" ] && continue; [ -d "$d" ] && [ -O "$d" ] && [ -w "$d" ] && break; d=; done; '
    'case $d in "") echo "{nonce} NOWHERE"; exit 0;; esac; f=$d/{hash}; '
    'if [ -f "$f" ] && s "$f"; then touch "$f"; else echo "{nonce} NEED"; '
    'head -c {size} >"$f.$$" && s "$f.$$" && mv -f "$f.$$" "$f" || '
    '{{ rm -f "$f.$$"; echo "{nonce} FAILED"; exit 0; }}; fi; '
    'find "$d" -type f -mtime +7 -exec rm -f {{}} +; echo "{nonce} AT $f"'
    "'"
)


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on this machine, its size in bytes and the SHA-256 (hexadecimal) that the target must find."""

    path: Path
    size: int
    sha256: str

    def __post_init__(self) -> None:
        if not _HASH.fullmatch(self.sha256):
            raise ValueError("A file needs its SHA-256 in 64 hexadecimal digits.")


def stage(connection: Connection, file: LocalFile, *, control: Control, deadline: float) -> str | None:
    """Where on the target the file now lies; None when `control` asked to stop.

    Raises `SpoolUnusable` where the target has no room or place for it, and what a channel raises; `sent` is
    always False, for no step has begun.
    """
    try:
        nonce = secrets.token_hex(16)
        command = _COMMAND.format(nonce=nonce, hash=file.sha256, size=file.size)
        channel = connection.open_channel(command, deadline=deadline)
        try:
            return _Staging(channel, nonce, deadline, control).of(file)
        finally:
            channel.close()
    except LibraryError as fault:
        fault.sent = False
        raise


class _Staging:
    def __init__(self, channel: Channel, nonce: str, deadline: float, control: Control) -> None:
        self._channel = channel
        self._nonce = nonce.encode()
        self._deadline = deadline
        self._control = control
        self._heard = b""

    def of(self, file: LocalFile) -> str | None:
        answer = self._answer()
        if answer == "NEED":
            if not self._send(file):
                return None
            answer = self._answer()
        word, _, place = answer.partition(" ")
        if word == "AT" and _PLACE.fullmatch(place):
            return place
        if word == "NOWHERE":
            raise SpoolUnusable("The target has no place for files: neither /var/tmp nor the login's home")
        raise SpoolUnusable(
            "The file did not arrive whole on the target",
            cause_hint="Its disk may be full, or sha256sum missing",
        )

    def _send(self, file: LocalFile) -> bool:
        with file.path.open("rb") as opened:
            while piece := opened.read(PIECE):
                if self._control.cancelled or self._control.expired:
                    return False
                self._channel.send(piece, deadline=self._deadline)
        self._channel.send_eof()
        return True

    def _answer(self) -> str:
        """The next line that begins with our nonce, without it."""
        while True:
            while b"\n" in self._heard:
                line, _, self._heard = self._heard.partition(b"\n")
                mark, _, rest = line.partition(b" ")
                if mark == self._nonce:
                    return rest.decode("ascii", "replace")
            if self._channel.ended:
                raise ConnectionLost("The target ended the transfer of a file before its time")
            if not self._channel.wait(deadline=self._deadline):
                raise ConnectionLost("The target did not take the file in the step's time")
            self._channel.read("stderr")
            # A login that prints without end must not fill our memory.
            self._heard = (self._heard + self._channel.read("stdout"))[-64 * 1024 :]
