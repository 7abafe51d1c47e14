"""Changing the data key: bring every stored secret under the first configured key."""

from django.db import transaction

from credentials.columns import column_values, sealed_columns


def rotate_keys() -> int:
    """Re-encrypt what is not yet under the first key, and say how many values that were.

    Each row is its own short transaction under its lock, so work goes on meanwhile, and a rotation that was
    interrupted is finished by running it again. Contents, versions and times do not change. Afterwards the
    older keys are needed for backups alone. Raises DecryptionError at a value no key fits; KeysUnusable.
    """
    rotated = 0
    for field in sealed_columns():
        old = [row for row, sealed in column_values(field) if not sealed.under_first_key]
        for row in old:
            with transaction.atomic():
                instance = field.model._base_manager.select_for_update().get(pk=row)
                setattr(instance, field.attname, getattr(instance, field.attname).rekeyed())
                instance.save(update_fields=[field.name])
        rotated += len(old)
    return rotated
