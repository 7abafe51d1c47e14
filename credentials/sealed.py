"""Sealed text: what a strict field's column holds, and how it is bound to its row. Knows no database."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Final, Self, final

from cryptography.fernet import Fernet, InvalidToken

from credentials.keys import cipher, configured_keys
from credentials.secret import Secret

PREFIX: Final = "opsportal-sealed:1:"
# Version byte, time, initialisation vector and signature of a Fernet token; the rest is whole AES blocks.
_TOKEN_OVERHEAD: Final = 57
_BLOCK: Final = 16


class DecryptionError(Exception):
    """A stored secret cannot be used. The text gives cause and next step and holds nothing of the value.

    `code` is `secret.wrong_key`, `secret.not_encrypted` or `secret.wrong_row`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _wrong_key(what: str) -> DecryptionError:
    return DecryptionError(
        "secret.wrong_key",
        f"{what} was encrypted with a key that is not configured. Add that key to the end of "
        "OPSPORTAL_ENCRYPTION_KEYS, or enter the secret again.",
    )


@final
class Sealed:
    """One column value as the database has it: opaque, opened only together with the place it belongs to.

    Copies and pickles hold ciphertext alone. `parses` is False for a value that we did not write.
    """

    __slots__ = ("_column",)

    def __init__(self, column: str) -> None:
        self._column = column

    @classmethod
    def close(cls, secret: Secret, *, place: str) -> Self:
        """Encrypt a secret for one place (model, field and row). Raises KeysUnusable."""
        envelope = json.dumps({"place": place, "text": secret.reveal()})
        return cls(PREFIX + cipher().encrypt(envelope.encode()).decode())

    def open(self, *, place: str) -> Secret:
        """The secret. Raises DecryptionError for plain text, a wrong key, or another place; KeysUnusable."""
        opened = self._decrypted(place)
        if opened is None:
            raise _wrong_key(f"The secret of {place}")
        written_for, secret = opened
        if written_for != place:
            raise DecryptionError(
                "secret.wrong_row",
                f"The secret stored for {place} belongs to another row or field: the database was changed by "
                "hand. Enter the secret again, and find out who can write to the database.",
            )
        return secret

    def prove_key(self, place: str) -> None:
        """Raise DecryptionError unless this is our ciphertext under a configured key."""
        if self._decrypted(place) is None:
            raise _wrong_key(f"The secret of {place}")

    def _decrypted(self, place: str) -> tuple[str, Secret] | None:
        """The place it was written for and the secret; None when no key fits.

        Plain text lives in this frame alone, which raises nothing that would show it with its locals.
        """
        token = self._token(place)
        try:
            envelope = json.loads(cipher().decrypt(token))
            return str(envelope["place"]), Secret(envelope["text"])
        except InvalidToken:
            return None
        except (ValueError, TypeError, KeyError):
            return "a place unknown", Secret("")  # encrypted with our key, but not by us

    def rekeyed(self) -> Self:
        """The same content under the first key. Raises DecryptionError, KeysUnusable."""
        token = self._token("a stored secret")
        try:
            return type(self)(PREFIX + cipher().rotate(token).decode())
        except InvalidToken:
            pass  # raised below, where no other error is its context
        raise _wrong_key("A stored secret")

    @property
    def under_first_key(self) -> bool:
        """Whether the first configured key encrypted this. Raises DecryptionError for a value not ours."""
        try:
            Fernet(configured_keys()[0]).decrypt(self._token("a stored secret"))
        except InvalidToken:
            return False
        return True

    def key_number(self, fernets: Sequence[Fernet]) -> int | None:
        """Which of these keys encrypted this, from 0; None when none did or it is not ours."""
        if not self.parses:
            return None
        token = self._column[len(PREFIX) :].encode()
        for number, fernet in enumerate(fernets):
            try:
                fernet.decrypt(token)
            except InvalidToken:
                continue
            return number
        return None

    @property
    def parses(self) -> bool:
        """Whether the value has the form of our envelope; says nothing about key and place."""
        if not self._column.startswith(PREFIX):
            return False
        try:
            token = base64.b64decode(self._column[len(PREFIX) :], altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            return False
        body = len(token) - _TOKEN_OVERHEAD
        return token[:1] == b"\x80" and body >= _BLOCK and body % _BLOCK == 0

    def ciphertext(self, place: str) -> str:
        """The column value, as it was read. Raises DecryptionError when it is not ciphertext of ours."""
        self._token(place)
        return self._column

    def _token(self, place: str) -> bytes:
        if not self.parses:
            raise DecryptionError(
                "secret.not_encrypted",
                f"The column of {place} holds a value that OpsPortal did not encrypt. It is neither used nor "
                "shown. Enter the secret again, and find out who can write to the database.",
            )
        return self._column[len(PREFIX) :].encode()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and self._column == other._column

    def __hash__(self) -> int:
        return hash(self._column)

    def __repr__(self) -> str:
        return "<sealed>"
