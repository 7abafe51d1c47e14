"""Are the configured keys those of this database? Asked at every start."""

from collections.abc import Sequence

from credentials.columns import column_values, sealed_columns, unsealed_rows
from credentials.keys import KeysUnusable, cipher
from credentials.models import KeyCanary, sealed_field
from credentials.rotation import key_use
from credentials.sealed import DecryptionError
from credentials.secret import Secret

_CANARY_ROW = 1
_SONG = "the keys fit"


class WrongKey(KeysUnusable):
    """The configured keys are valid, but not those this database was written with."""


class NotEncrypted(KeysUnusable):
    """A secret column holds values that OpsPortal did not encrypt."""


def verify_keys() -> None:
    """Return only if secrets can be read and written.

    Raises KeysUnusable (no keys, or malformed), WrongKey (the canary row cannot be decrypted) or NotEncrypted
    (a secret column holds something else than our ciphertext), each with the next step. The first call on a
    new database makes the canary row.
    """
    cipher()
    problem = _canary_problem()
    if problem is not None:
        raise WrongKey(
            f"OPSPORTAL_ENCRYPTION_KEYS does not fit this database. {problem} Start with the keys that were "
            "in use when it was written (from its .env file or its backup); a new key goes before them."
            f"{_told(key_use().unreadable)}"
        )
    strangers = unsealed_rows()
    if strangers:
        raise NotEncrypted(
            f"{len(strangers)} secret column(s) hold values that OpsPortal did not encrypt: "
            f"{named(strangers)}. Somebody wrote to the database by hand: find out who, delete "
            "those rows or set the column to NULL, and enter the secrets again."
        )


def unreadable_secrets() -> list[str]:
    """Where a stored secret is that no configured key reads, as `app.model.field row 7`."""
    return key_use().unreadable


def named(places: Sequence[str], shown: int = 10) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(places) - shown} more" if len(places) > shown else ""
    return ", ".join(places[:shown]) + more


def _told(places: Sequence[str]) -> str:
    return f" No configured key reads: {named(places)}." if places else ""


def _canary_problem() -> str | None:
    try:
        canary = KeyCanary.objects.filter(pk=_CANARY_ROW).first() or _new_canary()
        song = sealed_field(canary).open(canary)
    except DecryptionError as error:
        return str(error)
    return None if song == Secret(_SONG) else "The canary row was changed."


def _new_canary() -> KeyCanary:
    """A canary for this database. Raises DecryptionError where a stored secret shows that no key fits."""
    for field in sealed_columns():
        for row, sealed in column_values(field):
            if sealed.parses:
                sealed.prove_key(f"{field} row {row}")
                break
    return KeyCanary.objects.get_or_create(pk=_CANARY_ROW, defaults={"sealed": Secret(_SONG)})[0]
