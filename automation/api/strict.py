"""Input is taken as it is or refused: no unknown keys, no text that happens to look like a number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django.core.exceptions import ValidationError as ModelError
from django.db import models
from rest_framework import serializers

from automation.api.problems import Problem
from automation.definitions.errors import did_you_mean


def check_keys(given: Iterable[str], known: Iterable[str], *, code: str, what: str) -> None:
    """Raises Problem 400 that names every key of `given` not in `known`, and the nearest that is."""
    words = list(known)
    unknown = [str(key) for key in given if key not in words]
    if unknown:
        errors = [
            {"field": key[:64], "message": f"unknown {what}{did_you_mean(key, words)}", "code": "unknown"}
            for key in unknown
        ]
        raise Problem(
            "; ".join(f"{error['field']}: {error['message']}" for error in errors), code=code, errors=errors
        )


class Text(serializers.CharField):
    """Text only."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Must be text.", "type")
        return super().to_internal_value(data)


class SecretText(Text):
    """Text that goes in and never comes out; nothing of it is trimmed."""

    def __init__(self) -> None:
        super().__init__(write_only=True, required=False, trim_whitespace=False, max_length=64 * 1024)


class Flag(serializers.BooleanField):
    """true or false."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError("Must be true or false.", "type")
        return data


class Whole(serializers.IntegerField):
    """A whole number."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            raise serializers.ValidationError("Must be a whole number.", "type")
        return super().to_internal_value(data)


class Choice(serializers.ChoiceField):
    """One of some texts."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            raise serializers.ValidationError("Must be text.", "type")
        return super().to_internal_value(data)


class Mapped(serializers.DictField):
    """An object; what is in it is checked by those who know."""


class Names(serializers.ListField):
    """A list of texts, each once, in order."""

    child = Text(max_length=100)

    def to_internal_value(self, data: Any) -> list[str]:
        return sorted(set(super().to_internal_value(data)))


class NamedRows(serializers.SlugRelatedField[Any]):
    """Rows given and shown by name."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            raise serializers.ValidationError("Must be a name.", "type")
        try:
            return super().to_internal_value(data)
        except serializers.ValidationError:
            rows = self.get_queryset()
            known = rows.values_list(str(self.slug_field), flat=True) if rows is not None else ()
            raise serializers.ValidationError(
                f"There is no {data[:100]!r}{did_you_mean(data, known)}.", "unknown"
            ) from None


class NumberedRow(serializers.PrimaryKeyRelatedField[Any]):
    """A row given and shown by its id."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, int) or isinstance(data, bool) or not 0 < data < 2**63:
            raise serializers.ValidationError("Must be an id.", "type")
        return super().to_internal_value(data)


class Strict(serializers.Serializer[Any]):
    """Refuses keys it does not know, and keys that are only for reading."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise serializers.ValidationError({"non_field_errors": ["Must be an object."]}, "type")
        writable = [name for name, field in self.fields.items() if not field.read_only]
        wrong: dict[str, list[str]] = {}
        for key in data:
            if key in self.fields and key not in writable:
                wrong[key] = ["Is only for reading."]
            elif key not in writable:
                wrong[str(key)[:64]] = [f"Unknown key{did_you_mean(str(key), writable)}"]
        if wrong:
            raise serializers.ValidationError(wrong, "unknown")
        return super().to_internal_value(data)


class StrictModel(Strict, serializers.ModelSerializer[Any]):
    """A row: fields of strict types, and the model's own rules before anything is saved."""

    serializer_field_mapping: ClassVar[dict[Any, Any]] = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: Text,
        models.TextField: Text,
        models.BooleanField: Flag,
        models.PositiveIntegerField: Whole,
    }
    serializer_choice_field = Choice

    def saved(self, row: Any, values: dict[str, Any], *, touched: tuple[str, ...] = ()) -> Any:
        """`row` with `values`, checked as a whole and stored; `touched` are columns that save sets itself."""
        for name, value in values.items():
            setattr(row, name, value)
        try:
            row.full_clean()
        except ModelError as error:
            raise serializers.ValidationError(_by_field(error)) from None
        row.save(update_fields=None if row.pk is None else [*values, *touched])
        return row


def _by_field(error: ModelError) -> dict[str, list[str]]:
    found = error.message_dict if hasattr(error, "error_dict") else {"__all__": error.messages}
    return {"non_field_errors" if name == "__all__" else name: texts for name, texts in found.items()}
