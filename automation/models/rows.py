"""Many rows stored at once: one statement, prepared once and given the values of every row.

For rows that are many and often. Django's own ways build an expression for each value, which costs it several
times as much as the database. No signals are sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from django.db import connection
from django.db.models import (
    AutoField,
    BooleanField,
    CharField,
    Field,
    ForeignKey,
    IntegerField,
    Model,
    TextField,
)

# Most values go into the database as they are; asking the field for each costs more than storing it.
AS_THEY_ARE = (BooleanField, CharField, ForeignKey, IntegerField, TextField)
PLAIN = frozenset({bool, int, str, type(None)})
MANY = 100


def insert_rows(rows: Collection[Model]) -> None:
    """Insert these new rows, which are of one model. A key that the database gives is not read back."""
    if not rows:
        return
    meta = next(iter(rows))._meta
    columns = [field for field in meta.concrete_fields if not isinstance(field, AutoField)]
    names = ", ".join(map(_quoted, columns))
    if connection.vendor == "postgresql" and len(rows) >= MANY:
        _copy(f"COPY {_quote(meta.db_table)} ({names}) FROM STDIN", rows, columns)
        return
    places = ", ".join(["%s"] * len(columns))
    _execute(f"INSERT INTO {_quote(meta.db_table)} ({names}) VALUES ({places})", rows, columns)  # noqa: S608


def update_rows(rows: Collection[Model], fields: Sequence[str]) -> None:
    """Store these fields of each of the rows, which are of one model and exist."""
    if not rows:
        return
    meta = next(iter(rows))._meta
    columns = [field for field in meta.concrete_fields if field.name in fields]
    key = next(field for field in meta.concrete_fields if field.primary_key)
    assignments = ", ".join(f"{_quoted(column)} = %s" for column in columns)
    where = f"{_quoted(key)} = %s"
    _execute(f"UPDATE {_quote(meta.db_table)} SET {assignments} WHERE {where}", rows, [*columns, key])  # noqa: S608


def _execute(statement: str, rows: Collection[Model], columns: Sequence[Field[Any, Any]]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(statement, list(_values(rows, columns)))


def _copy(statement: str, rows: Collection[Model], columns: Sequence[Field[Any, Any]]) -> None:
    """What PostgreSQL offers for many rows, at a fraction of the statements' price."""
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        for values in _values(rows, columns):
            copy.write_row(values)


def _values(rows: Collection[Model], columns: Sequence[Field[Any, Any]]) -> Iterator[list[Any]]:
    ways = [(column, column.attname, isinstance(column, AS_THEY_ARE)) for column in columns]
    for row in rows:
        yield [
            value
            if plain and type(value := getattr(row, name)) in PLAIN
            else column.get_db_prep_save(getattr(row, name), connection)
            for column, name, plain in ways
        ]


def _quoted(column: Field[Any, Any]) -> str:
    return _quote(str(column.column))


def _quote(name: str) -> str:
    return connection.ops.quote_name(name)
