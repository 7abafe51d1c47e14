"""The one kind of column that holds secrets."""

from typing import Any, Never

from django.core import checks
from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db.models import Model
from django.db.models.expressions import Col
from django.db.models.lookups import IsNull
from encrypted_model_fields.fields import EncryptedTextField

from credentials.sealed import Sealed
from credentials.secret import Secret


class SealedFieldError(FieldError):
    """Something was asked of a secret column that it does not do; the text says what to do instead."""


class StrictEncryptedTextField(EncryptedTextField):  # type: ignore[misc]  # the package has no types
    """Encrypted text, bound to its row, that fails closed.

    The attribute of an instance is never plain text by accident: what was read is a `Sealed` (opaque), and
    `field.open(instance)` gives the `Secret`. What is assigned (a `Secret`, or text from a form) is taken
    literally, encrypted when saved, and replaced by its `Sealed`.

    * Opened with the wrong key, for another row or field, or where the column holds plain text:
      DecryptionError. Loading, listing and saving other columns need no key and change no stored byte.
    * `row_field` names a column of the model whose value, fixed before the first save, is encrypted along.
    * `bulk_update`, `update` with text, expressions, sorting by its name and every look-up but `isnull` raise
      SealedFieldError. `values()` gives `Sealed`.
    * Serialisers (`dumpdata`) write ciphertext, and `loaddata` stores it again as it is.
    * Keys come from `settings.FIELD_ENCRYPTION_KEY` at use; the first encrypts, all decrypt.
    """

    description = "Encrypted text, bound to its row"

    def __init__(self, *args: Any, row_field: str = "uuid", **kwargs: Any) -> None:
        self.row_field = row_field
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "row_field": self.row_field}

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        found: list[checks.CheckMessage] = super().check(**kwargs)
        try:
            self.model._meta.get_field(self.row_field)
        except FieldDoesNotExist:
            hint = "Add a UUID column with a default, or name another by row_field."
            message = f"The secret is bound to the column '{self.row_field}', which the model does not have."
            found.append(checks.Error(message, hint=hint, obj=self, id="credentials.E003"))
        return found

    # An instance's value

    def seal(self, instance: Model, secret: Secret) -> None:
        """Encrypt a secret for this row and put it in place, to be saved. Raises KeysUnusable."""
        setattr(instance, self.attname, Sealed.close(secret, place=self._place(instance)))

    def open(self, instance: Model) -> Secret | None:
        """The row's secret, None when there is none. Raises DecryptionError, KeysUnusable."""
        value = getattr(instance, self.attname)
        if isinstance(value, Sealed):
            return value.open(place=self._place(instance))
        return Secret(value) if isinstance(value, str) else value

    def pre_save(self, model_instance: Model, add: bool) -> Sealed | None:  # noqa: FBT001 -- Django's signature
        value = getattr(model_instance, self.attname)
        if isinstance(value, str):
            value = Secret(value)
        if isinstance(value, Secret):
            self.seal(model_instance, value)
            value = getattr(model_instance, self.attname)
        if value is not None and not isinstance(value, Sealed):
            raise self._refusal("takes no expressions")
        return value

    def value_to_string(self, obj: Model) -> str:
        """The ciphertext. Raises DecryptionError when the column holds anything else."""
        sealed = self.pre_save(obj, add=False)
        return "" if sealed is None else sealed.ciphertext(self._place(obj))

    def _place(self, instance: Model) -> str:
        row = getattr(instance, self.row_field)
        if row is None:
            raise self._refusal(f"needs the row's {self.row_field} first")
        return f"{self}:{row}"

    # To and from the database and forms

    def to_python(self, value: Any) -> Any:
        """Text stays the text it is: ciphertext that somebody pasted is not decrypted."""
        return value

    def from_db_value(self, value: str | None, *args: Any) -> Sealed | None:
        return None if value is None else Sealed(value)

    def get_db_prep_save(self, value: Any, connection: Any) -> str | None:
        # What is still text here did not come by a row's save(): it is a fixture's ciphertext, or a mistake.
        if isinstance(value, str):
            sealed = Sealed(value)
            if not sealed.parses:
                raise self._refusal(
                    "is stored through its row only: assign it and save(). A fixture must hold ciphertext"
                )
            sealed.prove_key(str(self))
            return value
        if value is not None and not isinstance(value, Sealed):
            raise self._refusal("takes no expressions and no bulk_update: save each row")
        return None if value is None else value.ciphertext(str(self))

    def formfield(self, **kwargs: Any) -> None:
        """No form shows a secret column by itself; forms that take secrets name write-only fields."""

    # Queries

    def get_lookup(self, lookup_name: str) -> type["SealedIsNull"]:
        if lookup_name != "isnull":
            raise self._refusal(f"cannot be searched ('{lookup_name}'); only isnull is known")
        return SealedIsNull

    def get_transform(self, name: str) -> Never:
        raise self._refusal(f"cannot be searched ('{name}')")

    def get_col(self, alias: str, output_field: Any = None) -> "SealedCol":
        return SealedCol(alias, self, output_field)

    def _refusal(self, what: str) -> SealedFieldError:
        return SealedFieldError(f"The secret column {self} {what}.")


class SealedCol(Col):
    """A secret column in a query: may be selected, but not sorted by."""

    def resolve_expression(self, *args: Any, **kwargs: Any) -> Never:
        # Of all uses of a column that was named by a string, Django resolves it again for ORDER BY alone.
        raise SealedFieldError(f"The secret column {self.target} cannot be sorted by.")


class SealedIsNull(IsNull):
    """`isnull`, the one question a secret column answers."""

    def __init__(self, lhs: Any, rhs: Any) -> None:
        # As an ordinary column, which look-ups resolve again, too.
        super().__init__(Col(lhs.alias, lhs.target) if isinstance(lhs, SealedCol) else lhs, rhs)
