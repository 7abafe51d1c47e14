"""What a step may have beside its scripts: a rule for trying again, and the kinds that need no script."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, model_validator

from automation.definitions.durations import Seconds
from automation.definitions.parameter_types import Text

MAX_TRIES = 10
MAX_DOWNLOAD = 64 * 1024 * 1024
FILE_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
_NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,31}"
OWNER_PATTERN = rf"^(?:{_NAME}(?::{_NAME})?)?$"
_WINDOWS_PLACE = re.compile(r'[A-Za-z]:(?:\\[^\\/:*?"<>|]+)+')
MAX_DELAY = 3600
MAX_REBOOT = 7200
RetryOn = Literal["failed", "timed_out", "unreachable"]

REBOOT_BASH = "systemctl reboot || shutdown -r now || reboot"
REBOOT_POWERSHELL = "Restart-Computer -Force"


class Part(BaseModel):
    """A part of a definition: fixed once read, without keys that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def at_most(limit: int) -> AfterValidator:
    """Whole seconds from 0 to `limit`."""

    def check(seconds: int) -> int:
        if seconds > limit:
            raise ValueError(f"must be at most {_lasting(limit)}")
        return seconds

    return AfterValidator(check)


def positive(seconds: int) -> int:
    """At least one second."""
    if seconds < 1:
        raise ValueError("must be at least 1s")
    return seconds


def _lasting(seconds: int) -> str:
    return f"{seconds // 86400}d" if seconds % 86400 == 0 else f"{seconds // 3600}h"


class Retry(Part):
    """How often a step's run body is tried in all, how long after an end the next try comes, and after which
    ends. Only what is known to have ended is tried again."""

    attempts: Annotated[StrictInt, Field(ge=2, le=MAX_TRIES)]
    delay: Annotated[Seconds, at_most(MAX_DELAY)] = 0
    on: Annotated[tuple[RetryOn, ...], Field(min_length=1, max_length=3)] = Field(
        default=("failed", "timed_out", "unreachable"), validate_default=True
    )


def _check_place(path: str) -> str:
    if not path:
        return path  # none on this platform; whether there is one at all is looked at below
    parts = path.split("/")
    if not path.startswith("/") or path.endswith("/") or not path.isprintable():
        raise ValueError("must be an absolute path of a file, in one line")
    if ".." in parts or "." in parts:
        raise ValueError("must not hold the parts . or ..")
    return path


def _check_windows_place(path: str) -> str:
    if not path:
        return path
    parts = path.split("\\")[1:]
    if not _WINDOWS_PLACE.fullmatch(path) or not path.isprintable():
        raise ValueError("must be an absolute path of a file, like C:\\app\\app.conf")
    if any(part.endswith((".", " ")) for part in parts):
        raise ValueError("must not hold parts that end with a dot or a space: Windows drops those")
    return path


Place = Annotated[Text, Field(max_length=1000), AfterValidator(_check_place)]
WindowsPlace = Annotated[Text, Field(max_length=250), AfterValidator(_check_windows_place)]


class Upload(Part):
    """Put a file of the portal (the newest of that name when the plan is frozen) in place on the target.

    `to` is its place on Linux targets, where without an owner it belongs to the login, or with become to
    root; `to_windows` that on Windows targets, where it has the permissions of the former file or its folder.
    """

    file: Annotated[Text, Field(pattern=FILE_NAME_PATTERN)]
    to: Place = ""
    to_windows: WindowsPlace = ""
    mode: Annotated[Text, Field(pattern=r"^[0-7]{3,4}$")] = "0644"
    owner: Annotated[Text, Field(pattern=OWNER_PATTERN)] = ""

    @model_validator(mode="after")
    def _check_there_is_a_place(self) -> Self:
        if not (self.to or self.to_windows):
            raise ValueError("an upload needs `to`, `to_windows`, or both")
        return self


class Download(Part):
    """Keep a copy of the target's file in the portal, when it has `limit` bytes at most.

    `from` is its place on Linux targets, `from_windows` that on Windows targets.
    """

    source: Annotated[Place, Field(alias="from")] = ""
    source_windows: Annotated[WindowsPlace, Field(alias="from_windows")] = ""
    limit: Annotated[StrictInt, Field(ge=1, le=MAX_DOWNLOAD)] = 10 * 1024 * 1024

    model_config = ConfigDict(serialize_by_alias=True)

    @model_validator(mode="after")
    def _check_there_is_a_place(self) -> Self:
        if not (self.source or self.source_windows):
            raise ValueError("a download needs `from`, `from_windows`, or both")
        return self


class Reboot(Part):
    """Restart the target and wait until it is back, which a new boot id shows. The time holds for both."""

    timeout: Annotated[Seconds, AfterValidator(positive), at_most(MAX_REBOOT)] = 600
