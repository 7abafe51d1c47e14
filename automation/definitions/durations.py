"""Durations in whole seconds, percentages, and sizes that are a number or a percentage."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, PlainValidator, WithJsonSchema

_DURATION = re.compile(r"([0-9]{1,9})\s?([smhd]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_PERCENT = re.compile(r"([0-9]{1,3})\s?%")


def parse_duration(value: object) -> int:
    """Seconds of `10s`, `15m`, `2h`, `1d` or a plain whole number of seconds; ValueError otherwise."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a duration: 10s, 15m, 2h, 1d or whole seconds")
    return int(match[1]) * _UNITS[match[2]]


@dataclass(frozen=True, slots=True)
class Percent:
    """A whole percentage, 1 to 100."""

    value: int

    def __post_init__(self) -> None:
        if not 1 <= self.value <= 100:
            raise ValueError("a percentage must be between 1% and 100%")

    def __str__(self) -> str:
        return f"{self.value}%"

    def rounded_up(self, total: int) -> int:
        """This share of `total`, rounded up, at least 1."""
        return max(1, -(-total * self.value // 100))

    def rounded_down(self, total: int) -> int:
        """This share of `total`, rounded down, at least 1."""
        return max(1, total * self.value // 100)


def parse_share(value: object) -> int | Percent:
    """A whole number (from 0) or a percentage as `"25%"`; ValueError otherwise."""
    if isinstance(value, Percent):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('must be a whole number or a percentage such as "25%"')
    return Percent(int(match[1]))


def parse_size(value: object) -> int | Percent:
    """A share that is at least 1."""
    share = parse_share(value)
    if share == 0:
        raise ValueError("must be at least 1")
    return share


def _share_as_json(share: int | Percent) -> int | str:
    return share if isinstance(share, int) else str(share)


def _share_schema(minimum: int) -> dict[str, Any]:
    percent = {"type": "string", "pattern": "^([1-9]|[1-9][0-9]|100) ?%$"}
    return {"anyOf": [{"type": "integer", "minimum": minimum}, percent]}


Seconds = Annotated[
    int,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]{1,9} ?[smhd]?$"}]}
    ),
]
Share = Annotated[
    int | Percent,
    PlainValidator(parse_share),
    PlainSerializer(_share_as_json),
    WithJsonSchema(_share_schema(0)),
]
Size = Annotated[
    int | Percent,
    PlainValidator(parse_size),
    PlainSerializer(_share_as_json),
    WithJsonSchema(_share_schema(1)),
]
