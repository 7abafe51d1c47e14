"""Changing the data key: bring every stored secret under the first configured key."""

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.fernet import Fernet
from django.db import transaction

from credentials.columns import column_values, sealed_columns
from credentials.fields import StrictEncryptedTextField
from credentials.keys import configured_keys
from credentials.sealed import DecryptionError, Sealed

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did: how many values it wrote anew, and where there are some that no key reads."""

    rotated: int
    unreadable: tuple[str, ...]


@dataclass(slots=True)
class KeyUse:
    """How many stored secrets each configured key encrypts, in the keys' order, and those that none does."""

    counts: list[int]
    unreadable: list[str] = field(default_factory=list)

    @property
    def spare(self) -> int:
        """How many keys after the first encrypt nothing any more; none as long as some secret has no key."""
        return 0 if self.unreadable else sum(1 for count in self.counts[1:] if not count)

    @property
    def outdated(self) -> int:
        """How many secrets are under another key than the first."""
        return sum(self.counts[1:])


def rotate_keys(on_progress: Progress = lambda done, total: None) -> Rotation:
    """Re-encrypt what is not yet under the first key.

    Each row is its own short transaction under its lock, so work goes on meanwhile, and a rotation that was
    killed is finished by running it again. A row that somebody edits at the same time keeps the edit.
    Contents, versions and times do not change. Values that no key reads are left as they are and named.
    `on_progress` hears of rows done and rows there were to do, after each row. Raises KeysUnusable.
    """
    rotated, unreadable = 0, dict[str, None]()  # in order
    # The canary's column comes last: a start without the older key is refused while it is needed.
    for column in sealed_columns():
        # Another process may write under the older key until it has read the new ones: look again.
        while old := [row for row in _outdated(column) if _name(column, row) not in unreadable]:
            for number, row in enumerate(old, start=1):
                try:
                    rotated += _rotate(column, row)
                except DecryptionError:
                    unreadable[_name(column, row)] = None
                on_progress(number, len(old))
    return Rotation(rotated, tuple(unreadable))


def key_use() -> KeyUse:
    """Which key reads what. Reads every stored secret; raises KeysUnusable."""
    fernets = [Fernet(key) for key in configured_keys()]
    use = KeyUse([0] * len(fernets))
    for column in sealed_columns():
        for row, sealed in column_values(column):
            number = sealed.key_number(fernets)
            if number is None:
                use.unreadable.append(_name(column, row))
            else:
                use.counts[number] += 1
    return use


def _outdated(column: StrictEncryptedTextField) -> list[int]:
    first = [Fernet(configured_keys()[0])]
    return [row for row, sealed in column_values(column) if sealed.key_number(first) is None]


def _rotate(column: StrictEncryptedTextField, row: int) -> int:
    """1, or 0 where the row is gone or was written anew meanwhile. Raises DecryptionError."""
    with transaction.atomic():
        instance = column.model._base_manager.select_for_update().filter(pk=row).first()
        sealed: Sealed | None = None if instance is None else getattr(instance, column.attname)
        if instance is None or sealed is None or sealed.under_first_key:
            return 0
        setattr(instance, column.attname, sealed.rekeyed())
        instance.save(update_fields=[column.name])
    return 1


def _name(column: StrictEncryptedTextField, row: int) -> str:
    return f"{str(column).lower()} row {row}"
