"""Typed readers of the environment. Every error names the variable, what is wrong with it and the fix."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})
DURATION = re.compile(r"(\d+)(ms|s|m|h|d)")
UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class SettingError(ImproperlyConfigured):
    """A setting of the environment cannot be used; the message is written for the administrator."""


@dataclass(frozen=True, slots=True)
class EnvReader:
    """Reads settings from a mapping such as `os.environ`. An empty value counts as not set."""

    environment: Mapping[str, str]

    def __repr__(self) -> str:
        return f"EnvReader({len(self.environment)} variables)"  # the values may be secrets

    def text(self, name: str, default: str = "") -> str:
        """The value without surrounding white space."""
        return self.environment.get(name, "").strip() or default

    def integer(self, name: str, default: int, *, at_least: int = 0, at_most: int | None = None) -> int:
        """A whole number inside the limits."""
        value = self.text(name)
        if not value:
            return default
        limits = f"a whole number, at least {at_least}" + ("" if at_most is None else f", at most {at_most}")
        try:
            number = int(value)
        except ValueError:
            raise SettingError(f"{name} is {value!r}: give it {limits}, or unset it for {default}.") from None
        if number < at_least or (at_most is not None and number > at_most):
            raise SettingError(f"{name} is {number}: give it {limits}, or unset it for {default}.")
        return number

    def boolean(self, name: str, *, default: bool) -> bool:
        """1, true, yes, on; or 0, false, no, off; in any case."""
        value = self.text(name).lower()
        if not value:
            return default
        if value in TRUE_WORDS:
            return True
        if value in FALSE_WORDS:
            return False
        raise SettingError(f"{name} is {value!r}: write `true` or `false`, or unset it for {default}.")

    def words(self, name: str, default: tuple[str, ...] = ()) -> list[str]:
        """A list separated by commas; empty items are left out."""
        return _split(self.text(name)) or list(default)

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        """One of the allowed words; the first of them when not set."""
        value = self.text(name, allowed[0])
        if value not in allowed:
            raise SettingError(f"{name} is {value!r}: write one of {', '.join(allowed)}.")
        return value

    def path(self, name: str, default: Path) -> Path:
        """An absolute path; `~` is the home directory."""
        value = self.text(name)
        return Path(value).expanduser().absolute() if value else default

    def duration(self, name: str, default: timedelta) -> timedelta:
        """A number and its unit: 500ms, 30s, 15m, 2h, 7d."""
        value = self.text(name)
        if not value:
            return default
        match = DURATION.fullmatch(value)
        if match is None:
            raise SettingError(f"{name} is {value!r}: write a number and a unit, such as 30s, 15m, 2h or 7d.")
        return timedelta(**{UNITS[match[2]]: int(match[1])})

    def secret(self, name: str) -> str:
        """A secret, from the variable or from the file that `<name>_FILE` names; "" when neither is set.

        Errors never repeat the value.
        """
        value, file = self.text(name), self.text(f"{name}_FILE")
        if value and file:
            raise SettingError(f"{name} and {name}_FILE are both set: unset one of them.")
        if not file:
            return value
        try:
            content = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SettingError(f"{name}_FILE names {file!r}, which cannot be read: {reason}.") from None
        if not content:
            raise SettingError(f"{name}_FILE names {file!r}, which is empty: write the secret into it.")
        return content

    def secrets(self, name: str) -> list[str]:
        """Secrets separated by commas or line ends, from the variable or from its `_FILE`."""
        return _split(self.secret(name).replace("\n", ","))


def _split(value: str) -> list[str]:
    return [item for item in (part.strip() for part in value.split(",")) if item]
