"""What PowerShell writes to stderr: CLIXML blocks, read piece by piece as they arrive, text left as text.

Each record is decoded by psrpcore as soon as it is complete. Nothing is trusted: what is no CLIXML, or too
long for a record, is handed on as it came.
"""

from __future__ import annotations

import codecs
import copy
import re
from collections.abc import Iterator
from xml.etree import ElementTree

from psrpcore import PSRemotingCrypto
from psrpcore.types import ClixmlStream, InformationRecord, deserialize_clixml

from automation.libraries.windows.types import Record, RecordKind

HEADER = "#< CLIXML"
LONGEST_RECORD = 1024 * 1024
"""Characters of XML in which a record must end."""
_CLOSING = "</Objs>"
_OPENING = re.compile(r"\A\s*(<Objs[^<>]*>?)?")
_START = re.compile(r"<(S|Obj)[ >]")
_KINDS: dict[ClixmlStream, RecordKind] = {
    ClixmlStream.ERROR: "error",
    ClixmlStream.WARNING: "warning",
    ClixmlStream.VERBOSE: "verbose",
    ClixmlStream.DEBUG: "debug",
    ClixmlStream.INFORMATION: "information",
}
_LABELS: dict[RecordKind, str] = {"warning": "WARNING: ", "verbose": "VERBOSE: ", "debug": "DEBUG: "}
_LINE_END = re.compile(r"\r?\n$")


class ClixmlReader:
    """Splits stderr into records and plain text. `resumed`: reading begins somewhere in the middle."""

    def __init__(self, *, resumed: bool = False) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._in_block = False
        self._resumed = resumed
        self._types: dict[str, ElementTree.Element] = {}
        self._cipher = PSRemotingCrypto()

    def feed(self, data: bytes, *, final: bool = False) -> Iterator[Record | str]:
        """Everything that is known after `data`, in order. With `final` nothing is held back."""
        self._text += self._decoder.decode(data, final)
        while self._text:
            before = (len(self._text), self._in_block)
            yield from self._block(final=final) if self._in_block else self._plain(final=final)
            if (len(self._text), self._in_block) == before:
                break

    def _plain(self, *, final: bool) -> Iterator[Record | str]:
        if self._resumed and (self._text.startswith("<") or "</" in self._text):
            self._resumed = False
            self._in_block = True
            return
        at = self._text.find(HEADER)
        if at < 0:
            held = 0 if final else _partial(self._text, HEADER)
            text = self._cut(len(self._text) - held)
            if text:
                yield text
            return
        if at:
            yield self._cut(at)
        self._cut(len(HEADER))
        self._in_block = True

    def _block(self, *, final: bool) -> Iterator[Record | str]:
        start = _START.search(self._text)
        closing = self._text.find(_CLOSING)
        header = self._text.find(HEADER)
        if header >= 0 and (start is None or header < start.start()):
            self._cut(header + len(HEADER))  # the next block begins where this one was cut off
        elif closing >= 0 and (start is None or closing < start.start()):
            self._cut(closing + len(_CLOSING))
            self._leave_block()
        elif start is not None:
            yield from self._record(start)
        if self._text and self._in_block and (final or len(self._text) > LONGEST_RECORD):
            yield from self._give_up()

    def _record(self, start: re.Match[str]) -> Iterator[Record | str]:
        end = _end_of(self._text, start)
        if end is None:
            return
        self._cut(start.start())
        xml = self._cut(end - start.start())
        try:
            element = ElementTree.fromstring(xml)  # noqa: S314 - expat bounds what entities can grow to
            found = self._decode(element)
        except (ElementTree.ParseError, KeyError, ValueError, TypeError, AttributeError):
            yield xml
        else:
            if found is not None:
                yield found

    def _decode(self, element: ElementTree.Element) -> Record | None:
        self._resolve_types(element)
        xml = f"<Objs>{ElementTree.tostring(element, encoding='unicode')}</Objs>"
        [(value, stream)] = deserialize_clixml(xml, self._cipher, preserve_streams=True)
        kind = _KINDS.get(stream)
        if kind is None:  # progress, or output that nobody asked for as XML
            return None
        if isinstance(value, InformationRecord):
            value = value.MessageData
        return Record(kind, _LINE_END.sub("", str(value)))

    def _resolve_types(self, element: ElementTree.Element) -> None:
        """A later object refers to type names that an earlier one spelled out; each is decoded alone here."""
        for names in element.iter("TN"):
            self._types[names.get("RefId", "")] = names
        for parent in list(element.iter()):
            for place, child in enumerate(parent):
                if child.tag == "TNRef" and child.get("RefId", "") in self._types:
                    parent[place] = copy.deepcopy(self._types[child.get("RefId", "")])

    def _give_up(self) -> Iterator[Record | str]:
        rest = _OPENING.sub("", self._cut(len(self._text)))
        self._leave_block()
        if rest:
            yield rest

    def _leave_block(self) -> None:
        self._in_block = False
        self._types.clear()

    def _cut(self, length: int) -> str:
        taken, self._text = self._text[:length], self._text[length:]
        return taken


def shown(record: Record) -> str:
    """A record as a line of text, labelled as PowerShell's console does it."""
    return f"{_LABELS.get(record.kind, '')}{record.text}\n"


def _end_of(text: str, start: re.Match[str]) -> int | None:
    """Where the element that begins here ends; None when it has not come whole yet."""
    tag = start.group(1)
    depth = 0
    for found in re.compile(rf"<(/?){tag}(?:\s[^<>]*?)?(/?)>").finditer(text, start.start()):
        if found.group(1):
            depth -= 1
        elif not found.group(2):
            depth += 1
        if depth == 0:
            return found.end()
    return None


def _partial(text: str, mark: str) -> int:
    """How many of the last characters may be the beginning of a mark."""
    for length in range(min(len(mark) - 1, len(text)), 0, -1):
        if mark.startswith(text[-length:]):
            return length
    return 0
