"""Reading Kerberos key tables, to know whose keys they hold. Knows no Django.

The form is that of MIT Kerberos, version 2: https://web.mit.edu/kerberos/krb5-latest/doc/formats/keytab_file_format.html
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from typing import Final

from credentials.secret import Secret

LARGEST: Final = 32 * 1024
NAMED: Final = 5
"""So many principals an error names."""
_VERSION: Final = b"\x05\x02"
_BASE64: Final = "Give the keytab file in base64, for instance from: base64 -w0 ops.keytab"
_MAKE_ONE: Final = "Make the keytab anew with ktpass or ktutil."


class KeytabError(ValueError):
    """A keytab cannot be used. The text gives cause and next step and nothing of its keys.

    `code` is `credential.keytab_unreadable`, `credential.keytab_empty`, `credential.keytab_user` or
    `credential.keytab_other_principal`; `field` is the input to correct.
    """

    def __init__(self, code: str, message: str, field: str = "keytab") -> None:
        super().__init__(message)
        self.code, self.field = code, field


@dataclass(frozen=True, slots=True)
class KeytabEntry:
    """Whose key it is, like `ops@EXAMPLE.COM`, its version, and the number of its encryption type."""

    principal: str
    version: int
    encryption: int


def check_keytab(keytab: Secret, username: str) -> None:
    """Raise KeytabError unless the keytab (base64) holds a key of this login, written `name@REALM`."""
    held = {entry.principal for entry in read_keytab(keytab)}
    name, _, realm = username.rpartition("@")
    if not name or not realm:
        raise KeytabError(
            "credential.keytab_user", "Write the login as the keytab's principal, name@REALM.", "username"
        )
    if username not in held:
        known = ", ".join(sorted(held)[:NAMED])
        raise KeytabError(
            "credential.keytab_other_principal",
            f"The keytab holds no key of {username}, but of {known}. Capitals count. Correct the login or "
            "take another keytab.",
        )


def read_keytab(keytab: Secret) -> list[KeytabEntry]:
    """Its entries, at least one. Raises KeytabError."""
    data = _unpacked(keytab)
    entries = None if data is None else _entries(data)
    del data  # a traceback with locals would show it
    if entries is None:
        raise KeytabError("credential.keytab_unreadable", f"This is no keytab of version 2. {_BASE64}")
    if not entries:
        raise KeytabError("credential.keytab_empty", f"The keytab holds no key. {_MAKE_ONE}")
    return entries


def _unpacked(keytab: Secret) -> bytes | None:
    try:
        return base64.b64decode("".join(keytab.reveal().split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _entries(data: bytes) -> list[KeytabEntry] | None:
    """None where it is not of the form; this frame raises nothing that would show keys with its locals."""
    if not data.startswith(_VERSION) or len(data) > LARGEST:
        return None
    found, at = [], len(_VERSION)
    try:
        while at < len(data):
            [length] = struct.unpack_from(">i", data, at)
            at += 4
            piece = data[at : at + abs(length)]
            if len(piece) < abs(length):
                return None
            at += abs(length)
            if length > 0:  # a negative one is the hole of an entry that was removed
                found.append(_entry(piece))
            elif length == 0:
                break
    except (struct.error, UnicodeDecodeError):
        return None
    return found


def _entry(piece: bytes) -> KeytabEntry:
    [count] = struct.unpack_from(">H", piece)
    at = 2
    texts = []
    for _ in range(count + 1):
        [length] = struct.unpack_from(">H", piece, at)
        [text] = struct.unpack_from(f">{length}s", piece, at + 2)
        texts.append(text.decode())
        at += 2 + length
    # A name type and a time, which say nothing here, then the version in one byte and the key.
    version, encryption, length = struct.unpack_from(">8xBHH", piece, at)
    struct.unpack_from(f">{length}s", piece, at + 13)
    if len(piece) >= at + 13 + length + 4:
        [long_version] = struct.unpack_from(">I", piece, at + 13 + length)
        version = long_version or version
    realm, *names = texts
    return KeytabEntry(f"{'/'.join(names)}@{realm}", version, encryption)
