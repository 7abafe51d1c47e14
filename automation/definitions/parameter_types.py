"""One declared parameter of a workflow: its type, its limits, and the conversion of what somebody gave."""

import re
from typing import Annotated, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)

from automation.definitions.patterns import MAX_MATCHED, check_pattern, matches_whole

Value = str | int | bool | list[str] | None

MAX_VALUE_BYTES = 256 * 1024
MAX_ITEMS = 1_000
MAX_TARGET_NAME = 100
ADDRESS_SUFFIX = "_address"
"""A target parameter `peer` also gives `$peer_address`."""
_INT64 = 2**63
_INTEGER = re.compile(r"[-+]?[0-9]{1,19}")


def check_text(text: str) -> str:
    """Give text back if it can be handed to a shell; ValueError when it holds NUL or is no valid Unicode."""
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode (it holds half of a surrogate pair)") from None
    return text


Text = Annotated[StrictStr, AfterValidator(check_text)]


def _check_default(value: object) -> Value:
    is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
    if not is_list and not isinstance(value, str | int | None):
        raise ValueError("must be text, a whole number, true, false or a list of texts")
    return cast("Value", value)


DefaultValue = Annotated[
    Value,
    PlainValidator(_check_default),
    WithJsonSchema(
        {
            "anyOf": [
                *({"type": kind} for kind in ("string", "integer", "boolean", "null")),
                {"type": "array", "items": {"type": "string"}},
            ]
        }
    ),
]


class Parameter(BaseModel):
    """A typed parameter. `min` and `max` are the value of an integer, the length of a string or secret, the
    items of a list.

    A `target` is the name of a target the asking person may see; beside `$name` scripts get `$name_address`.
    A `secret` is text that no plan, page or answer shows, so it has no default.

    A default makes a parameter optional whatever `required` says. The pattern must match the whole value
    (each item of a list); its syntax is that of CEL's `matches`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: Literal["string", "integer", "boolean", "enum", "list", "target", "secret"] = "string"
    label: Annotated[Text, Field(max_length=200)] = ""
    help: Annotated[Text, Field(max_length=1000)] = ""
    required: StrictBool = True
    default: DefaultValue = None
    pattern: Annotated[Text, AfterValidator(check_pattern)] | None = None
    choices: tuple[Annotated[Text, Field(min_length=1, max_length=1000)], ...] = Field(
        default=(), max_length=1000
    )
    min: StrictInt | None = None
    max: StrictInt | None = None

    @property
    def is_required(self) -> bool:
        """Whether a run must give a value."""
        return self.required and self.default is None

    @property
    def is_secret(self) -> bool:
        """Whether its value must never be shown."""
        return self.type == "secret"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.type == "enum") != bool(self.choices):
            raise ValueError("choices belong to type enum, and enum needs choices")
        if len(set(self.choices)) != len(self.choices):
            raise ValueError("a choice stands here twice")
        if self.pattern is not None and self.type not in ("string", "list", "secret"):
            raise ValueError("pattern belongs to the types string, list and secret")
        if (self.min, self.max) != (None, None) and self.type in ("boolean", "enum", "target"):
            raise ValueError("min and max belong to the types integer, string, list and secret")
        if self.is_secret and self.default is not None:
            raise ValueError("a secret has no default: a workflow shows everything that stands in it")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is greater than max")
        if self.default is not None:
            try:
                converted = self.convert(self.default)
            except ValueError as error:
                raise ValueError(f"the default {error}") from None
            if type(converted) is not type(self.default):
                raise ValueError(f"the default must be of type {self.type}")
        return self

    def convert(self, given: object) -> Value:
        """The typed value of what was given; ValueError says what it must be, without quoting it.

        Text is accepted for integers (`"5"`) and booleans (`"true"`), as forms and command lines send it;
        nothing else changes its type.
        """
        match self.type:
            case "string" | "secret":
                return self._string(given)
            case "target":
                return self._target(given)
            case "integer":
                return self._integer(given)
            case "boolean":
                return self._boolean(given)
            case "enum":
                return self._choice(given)
            case "list":
                return self._list(given)

    def _string(self, given: object) -> str:
        if not isinstance(given, str):
            raise ValueError("must be text; put it in quotes")
        text = _bounded(given)
        if not text and self.is_required and self.min is None:
            raise ValueError("must not be empty")
        self._check_range(len(text), "have", " characters")
        self._check_pattern(text)
        return text

    def _target(self, given: object) -> str:
        if not isinstance(given, str) or not given.strip():
            raise ValueError("must be the name of a target")
        if len(given) > MAX_TARGET_NAME:
            raise ValueError("is no target's name: it is too long")
        return check_text(given.strip())

    def _integer(self, given: object) -> int:
        if isinstance(given, str) and _INTEGER.fullmatch(given.strip()):
            given = int(given)
        if not isinstance(given, int) or isinstance(given, bool):
            raise ValueError("must be a whole number")
        if not -_INT64 <= given < _INT64:
            raise ValueError("must fit into 64 bits")
        self._check_range(given, "be", "")
        return given

    def _boolean(self, given: object) -> bool:
        if isinstance(given, bool):
            return given
        if isinstance(given, str) and given.lower() in ("true", "false"):
            return given.lower() == "true"
        raise ValueError("must be true or false")

    def _choice(self, given: object) -> str:
        if not isinstance(given, str) or given not in self.choices:
            raise ValueError(f"must be one of {', '.join(self.choices[:20])}")
        return given

    def _list(self, given: object) -> list[str]:
        if not isinstance(given, list | tuple):
            raise ValueError("must be a list of texts")
        items = list(given)
        if len(items) > MAX_ITEMS:
            raise ValueError(f"must have at most {MAX_ITEMS} items")
        for item in items:
            if not isinstance(item, str) or not item or "\n" in item or "\r" in item:
                raise ValueError("must hold texts of one line each, none of them empty")
            self._check_pattern(check_text(item))
        _bounded("\n".join(items))
        if not items and self.is_required and self.min is None:
            raise ValueError("must not be empty")
        self._check_range(len(items), "have", " items")
        return items

    def _check_range(self, number: int, verb: str, unit: str) -> None:
        if self.min is not None and number < self.min:
            raise ValueError(f"must {verb} at least {self.min}{unit}")
        if self.max is not None and number > self.max:
            raise ValueError(f"must {verb} at most {self.max}{unit}")

    def _check_pattern(self, text: str) -> None:
        if self.pattern is None:
            return
        if len(text) > MAX_MATCHED:
            raise ValueError(f"must have at most {MAX_MATCHED} characters, because it has a pattern")
        if not matches_whole(self.pattern, text):
            raise ValueError(f"must match {self.pattern}")


def _bounded(text: str) -> str:
    if len(check_text(text).encode()) > MAX_VALUE_BYTES:
        raise ValueError(f"must have at most {MAX_VALUE_BYTES // 1024} KiB")
    return text
