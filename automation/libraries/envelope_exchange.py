"""One order on one channel: send everything, then turn the bytes that come back into the guard's answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from automation.libraries.envelope_frames import FrameReader, Record
from automation.libraries.envelope_upload import SUDO_PROMPT, Upload
from automation.libraries.errors import (
    BecomeFailed,
    BecomePasswordRequired,
    CommandTimeout,
    ConnectionLost,
    ShellUnusable,
    last_words,
)
from automation.libraries.outputs import OUTPUTS_LIMIT
from automation.libraries.types import Channel, Connection, Control, OnOutput, Stream

_NOISE_KEPT = 2048
_STREAMS: tuple[Stream, Stream] = ("stdout", "stderr")


@dataclass(slots=True)
class Exchange:
    """The state of one order. Answers are read with `answer()`; output goes to `on_output` as it comes."""

    channel: Channel
    upload: Upload
    become: bool
    deadline: float
    on_output: OnOutput
    control: Control | None = None
    received: dict[Stream, int] = field(default_factory=lambda: {"stdout": 0, "stderr": 0})
    outputs: bytes = b""
    _readers: dict[Stream, FrameReader] = field(init=False)
    _state: dict[Stream, str] = field(default_factory=lambda: {"stdout": "noise", "stderr": "noise"})
    _noise: dict[Stream, bytes] = field(default_factory=lambda: {"stdout": b"", "stderr": b""})
    _answers: list[Record] = field(default_factory=list)
    _wishes_sent: set[str] = field(default_factory=set)
    _greeted: bool = False

    def __post_init__(self) -> None:
        self._readers = {stream: FrameReader(self.upload.nonce) for stream in _STREAMS}

    def begin(self) -> None:
        """Send the order. Raises what `answer` raises: a target that refuses may close before it took all."""
        if self.control is not None:
            self.control.attach(self.channel.wake)
        try:
            self.channel.send(self.upload.data, deadline=self.deadline)
        except ConnectionLost:
            while not self._answers and not self.channel.ended:
                if not self._pump():
                    raise
            if not self._answers:
                self._raise_ended()

    def answer(self) -> Record:
        """The guard's next answer on the channel's main stream.

        Raises `BecomePasswordRequired`, `BecomeFailed` or `ShellUnusable` when the guard never ran (nothing
        was started), `ConnectionLost` when it ran and the channel ended, `CommandTimeout` at the deadline.
        """
        while not self._answers:
            if self.channel.ended:
                self._raise_ended()
            if not self._pump():
                raise CommandTimeout("The target did not answer in time")
        return self._answers.pop(0)

    def read_until(self, complete: Callable[[], bool]) -> None:
        """Go on reading until `complete()`, for output that is still on its way on the other stream."""
        while not complete():
            if self.channel.ended or not self._pump():
                raise ConnectionLost("The target announced more output than came")

    @property
    def stderr_ended(self) -> bool:
        """The error stream's own end mark was read (only sent where no lengths are known)."""
        return self._state["stderr"] == "over"

    def _pump(self) -> bool:
        """Take what is there, or wait once; False at the deadline."""
        self._send_wishes()
        took = False
        for stream in _STREAMS:
            data = self.channel.read(stream)
            if data:
                took = True
                self._feed(stream, data)
        return took or self.channel.ended or self.channel.wait(deadline=self.deadline)

    def _send_wishes(self) -> None:
        if self.control is None or not self._greeted:
            return
        for wish, wanted in (("cancel", self.control.cancelled), ("expire", self.control.expired)):
            if wanted and wish not in self._wishes_sent:
                self._wishes_sent.add(wish)
                self.channel.send(f"{self.upload.nonce} {wish}\n".encode(), deadline=self.deadline)

    def _feed(self, stream: Stream, data: bytes) -> None:
        try:
            for piece in self._readers[stream].feed(data):
                if isinstance(piece, Record):
                    self._note(stream, piece)
                else:
                    self._deliver(stream, piece)
        except ValueError as error:
            raise ConnectionLost("The target's answer was garbled") from error

    def _note(self, stream: Stream, record: Record) -> None:
        self._greeted = True
        if record.word == "BEGIN":
            self._state[stream] = "script"
        elif record.word == "OUTPUTS":
            self._state[stream] = "outputs"
        elif record.word == "END":
            self._state[stream] = "over"
        if stream == "stdout" and record.word != "OUTPUTS":
            self._answers.append(record)

    def _deliver(self, stream: Stream, data: bytes) -> None:
        state = self._state[stream]
        if state == "script":
            self.received[stream] += len(data)
            self.on_output(stream, data)
        elif state == "outputs":
            self.outputs = (self.outputs + data)[: OUTPUTS_LIMIT + 1]
        elif state == "noise":
            self._noise[stream] = (self._noise[stream] + data)[-_NOISE_KEPT:]

    def _raise_ended(self) -> None:
        """The channel is over without an answer: say what that proves."""
        if self._greeted or self.channel.exit_status is None:
            raise ConnectionLost("The connection ended before the target's answer")
        said = b"\n".join(self._noise[stream] for stream in _STREAMS).replace(SUDO_PROMPT.encode(), b"")
        if self.become:
            _raise_become(said, self.upload.data)
        raise ShellUnusable(
            f"The login's shell ended with status {self.channel.exit_status} and started nothing",
            cause_hint=last_words(said, sent=self.upload.data),
            sent=False,
        )


def _raise_become(noise: bytes, sent: bytes) -> None:
    said = noise.decode("utf-8", "replace")
    if re.search(r"password is required|a terminal is required|no password was provided", said):
        raise BecomePasswordRequired("sudo asks for a password on this target", sent=False)
    if re.search(r"incorrect password|try again", said, re.IGNORECASE):
        raise BecomeFailed("sudo did not accept the password", sent=False)
    if re.search(r"sudo|may not run|not allowed", said, re.IGNORECASE):
        raise BecomeFailed("sudo refused on this target", cause_hint=last_words(noise, sent=sent), sent=False)


def open_exchange(
    connection: Connection,
    upload: Upload,
    *,
    become: bool,
    deadline: float,
    on_output: OnOutput,
    control: Control | None = None,
) -> Exchange:
    """Open a channel for the order and send it."""
    channel = connection.open_channel(upload.command, deadline=deadline)
    exchange = Exchange(channel, upload, become, deadline, on_output, control)
    try:
        exchange.begin()
    except BaseException:
        channel.close()
        raise
    return exchange
