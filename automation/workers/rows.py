"""Many rows stored at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db import connection
from django.db.models import Model


def update_rows(rows: Collection[Model], fields: Sequence[str]) -> None:
    """Store these fields of each of the rows, which are of one model and exist.

    One statement, prepared once and given the values of every row: saving each by itself costs Django thirty
    times as much as the database. No signals are sent.
    """
    if not rows:
        return
    meta = next(iter(rows))._meta
    columns = [field for field in meta.concrete_fields if field.name in fields]
    key = next(field for field in meta.concrete_fields if field.primary_key)
    quote = connection.ops.quote_name
    assignments = ", ".join(f"{quote(str(column.column))} = %s" for column in columns)
    where = f"{quote(str(key.column))} = %s"
    statement = f"UPDATE {quote(meta.db_table)} SET {assignments} WHERE {where}"  # noqa: S608 - names of ours
    values = [
        [column.get_db_prep_save(getattr(row, column.attname), connection) for column in (*columns, key)]
        for row in rows
    ]
    with connection.cursor() as cursor:
        cursor.executemany(statement, values)
