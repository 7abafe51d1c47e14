"""The value type of everything that must not be seen. Knows no Django."""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Any, Final, Never, SupportsIndex, final

SHOWN: Final = "<secret>"

# Never leaves the process: a hash from a log or a core dump cannot be tried against guesses elsewhere.
_HASH_KEY: Final = secrets.token_bytes(16)


def _holder(text: str) -> Callable[[], str]:
    return lambda: text


@final
class Secret:
    """Text that is handed on whole and shown never.

    `reveal()` and `reveal_bytes()` are the only ways to the text. `str`, `repr`, `format`, `%s` and f-strings
    give `<secret>`, so logs and tracebacks with locals do too; `pickle`, `json` and `vars` raise TypeError;
    `copy` and `deepcopy` give the same object back. There is no `len`, no iteration, no ordering.

    Two secrets are equal when their texts are (compared in constant time); a secret never equals plain text.
    Hashable, in step with equality, by a digest keyed with a value of this process: a connection pool may
    use values that hold secrets as keys.

    Raises TypeError for anything but `str`, ValueError for text that UTF-8 cannot carry.
    """

    # A closure behind a mangled slot: no `__dict__` to dump, and no attribute that holds the text itself.
    __slots__ = ("__holder",)
    __holder: Callable[[], str]

    def __init__(self, text: str) -> None:
        problem = _problem(text)
        if problem is not None:
            del text  # a traceback with locals would show it
            raise problem
        object.__setattr__(self, "_Secret__holder", _holder(text))

    def reveal(self) -> str:
        """The text. Call it at the line that uses it; keep the result in no name that outlives it."""
        return self.__holder()

    def reveal_bytes(self) -> bytes:
        """The text as UTF-8."""
        return self.__holder().encode()

    def __bool__(self) -> bool:
        return bool(self.__holder())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal_bytes(), other.reveal_bytes())

    def __hash__(self) -> int:
        digest = hashlib.blake2b(self.reveal_bytes(), key=_HASH_KEY, digest_size=8).digest()
        return int.from_bytes(digest, "big", signed=True)

    def __repr__(self) -> str:
        return SHOWN

    def __str__(self) -> str:
        return SHOWN

    def __format__(self, format_spec: str) -> str:
        return SHOWN

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Secret":
        return self

    def __setattr__(self, name: str, value: object) -> Never:
        raise AttributeError("A Secret cannot be changed; make a new one.")

    def __delattr__(self, name: str) -> Never:
        raise AttributeError("A Secret cannot be changed; make a new one.")

    def __getstate__(self) -> Never:
        raise TypeError(
            "A Secret cannot be pickled or serialised. Pass the id of its credential and read it there."
        )

    def __reduce_ex__(self, protocol: SupportsIndex) -> Never:
        self.__getstate__()


def _problem(text: object) -> Exception | None:
    """Why this cannot be a secret, or None. The error is built where no other error holds the text."""
    if not isinstance(text, str):
        return TypeError(f"A Secret holds text (str), not {type(text).__name__}.")
    try:
        text.encode()
    except UnicodeEncodeError:
        return ValueError("A Secret must be text that UTF-8 can carry; this one holds lone surrogates.")
    return None
