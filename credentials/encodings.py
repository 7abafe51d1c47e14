"""The forms in which a secret turns up in output. Knows no Django."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

SHORTEST: Final = 6
"""Texts shorter than this many characters are not looked for: masking them would mask ordinary output."""

LONGER_THAN: Final = 16
"""Lines of a secret of several lines are looked for on their own when longer than this many characters."""

_PEM_MARK: Final = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]+-----")


def forms(text: str) -> set[bytes]:
    """All byte strings to look for when this text must not be seen; none when it is too short.

    The text itself; base64 (standard and URL alphabet) at its three alignments; URL-quoted; escaped for JSON,
    XML and single quotes of a shell; hexadecimal in both cases. For a text of several lines also each line
    longer than 16 characters, the whole with CRLF, and the whole on one line. The lines `-----BEGIN …-----`
    are no secret and are left alone. Space around the text does not count.
    """
    text = text.strip()
    if len(text) < SHORTEST:
        return set()
    found = {form for form in _encoded(text) if len(form) >= SHORTEST}
    if "\n" in text:
        found |= {line.encode() for line in _lines(text)}
    return found


def _encoded(text: str) -> Iterator[bytes]:
    yield text.encode()
    for quoted in (quote(text), quote(text, safe=""), quote_plus(text)):
        yield quoted.encode()
        yield re.sub("%..", lambda match: match[0].lower(), quoted).encode()
    yield json.dumps(text)[1:-1].encode()
    yield json.dumps(text, ensure_ascii=False)[1:-1].encode()
    yield escape(text, {'"': "&quot;"}).encode()
    yield text.replace("'", "'\\''").encode()
    yield text.replace("'", "'\"'\"'").encode()
    raw = text.encode()
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for standard in _base64(raw):
        yield standard
        yield standard.replace(b"+", b"-").replace(b"/", b"_")


def _base64(raw: bytes) -> Iterator[bytes]:
    yield base64.b64encode(raw)
    yield base64.b64encode(raw + b"\n")  # what `echo | base64` gives
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).rstrip(b"=")
        # Characters that also carry bits of the neighbouring bytes are not known: at the front, those of the
        # bytes before; at the end, the last one unless the length is a whole number of groups.
        first = (0, 2, 3)[before]
        last = len(encoded) - (1 if (before + len(raw)) % 3 else 0)
        yield encoded[first:last]


def _lines(text: str) -> Iterator[str]:
    lines = [line.strip() for line in text.splitlines()]
    yield "\r\n".join(lines)
    secret = [line for line in lines if line and not _PEM_MARK.fullmatch(line)]
    for one_line in ("".join(secret), " ".join(secret)):
        if len(one_line) >= SHORTEST:
            yield one_line
    yield from (line for line in secret if len(line) > LONGER_THAN)
