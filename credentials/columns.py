"""The secret columns of all installed models, as they are stored."""

from collections.abc import Iterator

from django.apps import apps
from django.db.models import Model

from credentials.fields import StrictEncryptedTextField
from credentials.sealed import Sealed


def unsealed_rows() -> list[str]:
    """Where a secret column holds a value not of our making, as `app.model.field row 7`. Needs no key."""
    return [
        f"{str(field).lower()} row {row}"
        for field in sealed_columns()
        for row, sealed in column_values(field)
        if not sealed.parses
    ]


def sealed_columns() -> Iterator[StrictEncryptedTextField]:
    """Every secret column of every installed model."""
    for model in apps.get_models():
        for field in model._meta.local_fields:
            if isinstance(field, StrictEncryptedTextField):
                yield field


def column_values(field: StrictEncryptedTextField) -> Iterator[tuple[int, Sealed]]:
    """Primary key and value of each row that has one, without loading the table at once."""
    model: type[Model] = field.model
    rows = model._base_manager.filter(**{f"{field.name}__isnull": False}).order_by("pk")
    yield from rows.values_list("pk", field.name).iterator(chunk_size=500)
