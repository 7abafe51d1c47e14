"""Keytabs for tests: the file's form written out by hand, with keys that open nothing."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence


def keytab(*principals: str, holes: bool = False) -> str:
    """A keytab in base64 with one key for each of these, like `ops@EXAMPLE.COM`."""
    entries = [_entry(each) for each in principals]
    pieces = [struct.pack(">i", len(each)) + each for each in entries]
    if holes:  # what ktutil leaves where an entry was removed
        pieces.insert(0, struct.pack(">i", -8) + b"\0" * 8)
    return base64.b64encode(b"\x05\x02" + b"".join(pieces)).decode()


def _entry(principal: str) -> bytes:
    name, _, realm = principal.rpartition("@")
    parts: Sequence[str] = [realm, *name.split("/")]
    told = b"".join(struct.pack(">H", len(part)) + part.encode() for part in parts)
    key = b"k" * 32
    return struct.pack(">H", len(parts) - 1) + told + struct.pack(">IIBHH", 1, 0, 3, 18, len(key)) + key
