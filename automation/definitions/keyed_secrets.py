"""A secret parameter's value, told by a digest that says nothing about it.

The plan that people approve holds the digest, the run's sealed row holds the value and the key. Without the
key nobody can try out values against a digest, and the same value has another digest in each run.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from credentials.secret import Secret

KEY_LENGTH = 64
"""Hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class KeyedSecret:
    """A value and the random key of its digest."""

    value: Secret = field(repr=False)
    key: str = field(repr=False)

    @classmethod
    def of(cls, value: str) -> "KeyedSecret":
        """The value under a key that was never used before."""
        return cls(Secret(value), secrets.token_hex(KEY_LENGTH // 2))

    @classmethod
    def read(cls, together: Secret) -> "KeyedSecret":
        """What `together` gave."""
        text = together.reveal()
        return cls(Secret(text[KEY_LENGTH:]), text[:KEY_LENGTH])

    def together(self) -> Secret:
        """Key and value as one secret, to be sealed."""
        return Secret(self.key + self.value.reveal())

    def digest(self, name: str) -> str:
        """What the plan says of the parameter `name` (HMAC-SHA-256, hexadecimal)."""
        told = f"{name}\n{self.value.reveal()}".encode()
        return hmac.new(self.key.encode(), told, hashlib.sha256).hexdigest()
